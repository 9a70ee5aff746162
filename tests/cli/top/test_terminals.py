"""What a terminal shows of the live screen, read back by an emulator: any size, any terminal, any text.

The application runs here, with its keys from a pipe. Whenever it has drawn, the emulator's screen is compared with the
frame, and the next key is pressed: nothing rests on timing.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeAlias

import pyte
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from clbalance.cli.top.acts import TerminalCommand
from clbalance.cli.top.live import LiveTop
from clbalance.cli.top.screen import Screen
from clbalance.policy.top.actions import Deed
from clbalance.policy.top.state import TopState
from clbalance.policy.top.view import View
from clbalance.render.format import Format
from clbalance.render.lines import columns_of
from clbalance.render.report import Display
from clbalance.render.reports.nodes.top import TopReport
from clbalance.render.sparkline import ASCII, UNICODE, Blocks
from clbalance.render.top.narrow import parse_filter
from clbalance.render.top.round import Round
from tests.render.examples.top import OPEN, ROUND

_KEYS = [*"jj 2j3j4j5j1S..,g\r/", "gpu\r", "n", "\x1b", *"drc", "\x1b", "\r", "\x1b[6~", "\x1b", "?", "\x1b"]
_Step: TypeAlias = str | Size | signal.Signals
_COLORS = {"default", "red", "green", "brown", "brightblack"}


class Terminal:
    """A file that an emulator reads. Each time all is written, it is looked at, and the next key is pressed."""

    def __init__(self, width: int, height: int, keys: PipeInput) -> None:
        self.emulator = pyte.Screen(width, height)
        self.title = self.emulator.title
        self.colors: set[str] = set()
        self.frames = 0
        self.size = Size(rows=height, columns=width)
        self.encoding = "utf-8"
        self._stream = pyte.Stream(self.emulator)
        self._keys = keys
        self._script: Iterator[_Step] = iter(())
        self.screen: Screen

    def play(self, script: Sequence[_Step]) -> None:
        self._script = iter([*script, "q"])

    def write(self, text: str) -> None:
        self._stream.feed(text)

    def flush(self) -> None:
        if not hasattr(self, "screen") or not self.emulator.display[-1].strip():
            return  # nothing is drawn yet
        self._look()
        step = next(self._script, None)
        if isinstance(step, Size):
            self.size = step
            self.emulator.resize(step.rows, step.columns)
            step = "k"  # a key has it drawn again, as a signal of the terminal does
        elif isinstance(step, signal.Signals):
            self.emulator.reset()  # somebody else had the terminal
            os.kill(os.getpid(), step)
            return
        if step is not None:
            self._keys.send_text(step)

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def _look(self) -> None:
        """The emulator shows the frame, from its second line on: the first has the age of the data."""
        self.frames += 1
        frame = self.screen.lines(self.size.columns, self.size.rows, time.monotonic())
        wanted = ["".join(cell.text for cell in line).rstrip() for line in frame]
        assert [line.rstrip() for line in self.emulator.display][1:] == wanted[1:]
        assert max(map(columns_of, wanted)) <= self.size.columns
        cells = [cell for row in self.emulator.buffer.values() for cell in row.values()]
        self.colors |= {cell.fg for cell in cells} | {cell.bg for cell in cells}


class Nodes:
    """In place of the thread that asks nodes: it has one round, at once."""

    every_s = 1.0
    open_node = None

    def __init__(self, found: Round, live: LiveTop) -> None:
        self._found = found
        self._live = live

    def begin(self) -> None:
        self._live.told(self._found)
        self._live.looked(OPEN)

    def hurry(self) -> None: ...

    def end(self) -> None: ...


def _shown(
    found: Round, size: Size, term: str, script: Sequence[_Step], *, color: bool = True, blocks: Blocks = UNICODE
) -> Terminal:
    with create_pipe_input() as keys:
        terminal = Terminal(size.columns, size.rows, keys)
        output = Vt100_Output(terminal, lambda: terminal.size, term=term, enable_cpr=False)  # type: ignore[arg-type]
        terminal.play(script)
        with create_app_session(input=keys, output=output):
            screen = Screen(TopState(), found, blocks, partial(parse_filter, labels=frozenset()))
            live = LiveTop(screen, _nothing, every_s=1.0, color=color)
            terminal.screen = screen
            live.run(Nodes(found, live))  # type: ignore[arg-type]  # all of a worker that is used
    return terminal


def _nothing(deed: Deed) -> TerminalCommand:
    raise AssertionError(deed)


SIZES = (Size(rows=10, columns=40), Size(rows=24, columns=80), Size(rows=50, columns=140))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("term", ["xterm-256color", "linux", "tmux"])
def test_the_terminal_shows_the_frame_whatever_it_is(size: Size, term: str) -> None:
    terminal = _shown(ROUND, size, term, list(_KEYS), blocks=ASCII if term == "linux" else UNICODE)
    assert terminal.frames > len(_KEYS)
    assert terminal.colors <= _COLORS
    assert "red" in terminal.colors


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_colour_is_shown_where_it_is_refused(size: Size) -> None:
    assert _shown(ROUND, size, "xterm-256color", list(_KEYS), color=False).colors == {"default"}


def test_a_size_may_change_at_any_time() -> None:
    sizes = [Size(rows=1 + number * 13 % 50, columns=1 + number * 31 % 140) for number in range(25)]
    script: list[_Step] = [step for number, size in enumerate(sizes) for step in (_KEYS[number % len(_KEYS)], size)]
    assert _shown(ROUND, SIZES[1], "xterm", [*script, Size(rows=24, columns=80)]).frames > len(sizes)


def test_who_was_stopped_draws_all_of_the_frame_again() -> None:
    assert _shown(ROUND, SIZES[1], "xterm", ["j", signal.SIGCONT, "k"]).frames > 3


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("view", View)
def test_a_dumb_terminal_gets_lines_that_fit(size: Size, view: View) -> None:
    text = TopReport(found=ROUND, blocks=ASCII, view=view).human(Display(form=Format.HUMAN, width=size.columns))
    assert "\x1b" not in text
    assert max(map(columns_of, text.splitlines())) <= size.columns
