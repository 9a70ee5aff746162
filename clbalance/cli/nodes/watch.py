"""Carry out `load --watch`: ask again and again, and draw each answer in the place of the last."""

import os
import re
import shutil
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NoReturn

from clbalance.cli.console import Console
from clbalance.cli.kept_sessions import keeping_sessions
from clbalance.cli.nodes.load_view import LoadView
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.model import Snapshot
from clbalance.render.format import Format
from clbalance.render.report import Display
from clbalance.render.text import span
from clbalance.units import counted

_STYLE = re.compile(r"\x1b\[[0-9;:]*m")


def watch_load(view: LoadView, every_s: float) -> NoReturn:
    """Show the load of the cluster every `every_s` seconds, until a signal ends it.

    Nodes that are late are shown as such, and drawn again when they have answered. Sessions are kept from one time to
    the next (docs/design/kept-sessions.md).
    """
    cluster = view.cluster
    screen = Screen(cluster.console, f"every {span(every_s)}")

    def show(services: Services, snapshot: Snapshot, *, is_draft: bool = False) -> None:
        names = view.names(services, snapshot, is_draft=is_draft)
        report, left_out = view.report(services, view.rows(services, snapshot), names)
        screen.show(screen.display.text(report), left_out)

    with (
        cluster.services(meanwhile="clbalance.cli.nodes.load_rows") as usual,
        keeping_sessions(usual) as kept,
    ):
        services = view.services(replace(usual, transport=kept))
        draft = partial(show, services, is_draft=True) if screen.is_drawn else None
        while True:
            began = services.clock.monotonic()
            show(services, take_snapshot(services, cluster.candidates.nodes, draft=draft, look_twice=True))
            kept.rest(began + every_s - services.clock.monotonic())


class Screen:
    """Texts one after the other: on a terminal each in the place of the last, otherwise below it."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self.is_drawn = console.outlets.stdout.terminal and console.display.form is Format.HUMAN
        self._is_begun = False

    @property
    def display(self) -> Display:
        """The present form: a terminal may have got another width."""
        display = self._console.display
        return replace(display, width=_size().columns) if self.is_drawn else display

    def show(self, text: str, remark: str = "") -> None:
        """Show the next text."""
        if self._console.display.form is not Format.HUMAN:
            self._console.print(text)
            self._console.say(remark)
            return
        title = f"{datetime.now().astimezone():%H:%M:%S}, {self._title}\n"
        if not self.is_drawn:
            self._console.print(f"{title}{text}\n")
            self._console.say(remark)
            return
        clear = "" if self._is_begun else "\x1b[2J"
        self._is_begun = True
        lines = _cut(f"{title}{text}{remark}".splitlines(), _size())
        self._console.print(clear + "\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")


def _cut(lines: list[str], size: os.terminal_size) -> list[str]:
    """As many lines as the screen has, its last one empty; a longer line would be wrapped, and take two."""
    room = max(size.lines - 1, 2)
    plain = [_STYLE.sub("", line) for line in lines]
    whole = [
        line if len(text) <= size.columns else text[: size.columns] for line, text in zip(lines, plain, strict=True)
    ]
    return whole if len(whole) <= room else [*whole[: room - 1], f"{counted(len(whole) - room + 1, 'more line')}"]


def _size() -> os.terminal_size:
    return shutil.get_terminal_size()
