"""The live screen of `top`: rounds come from a thread, keys from the terminal, frames go to it."""

import contextlib
import io
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth

from clbalance.cli import signals
from clbalance.cli.cluster import ClusterContext
from clbalance.cli.top.acts import TerminalCommand, export, is_there, terminal_command
from clbalance.cli.top.filters import KeptFilters
from clbalance.cli.top.keyboard import key_bindings
from clbalance.cli.top.painting import LineRenderer
from clbalance.cli.top.screen import Screen
from clbalance.cli.top.typed_filter import filter_parser
from clbalance.cli.top.worker import Worker
from clbalance.errors import ClbalanceError, Interrupted
from clbalance.policy.heat import NodeGroup
from clbalance.policy.top.actions import Action, Deed, asks_for
from clbalance.policy.top.keys import Keys
from clbalance.policy.top.state import Focus, TopState
from clbalance.render import messages
from clbalance.render.lines import Line
from clbalance.render.output.streams import Outlet
from clbalance.render.sparkline import blocks_for
from clbalance.render.text import span
from clbalance.render.top.node_details import OpenNode
from clbalance.render.top.round import Round
from clbalance.units import counted

_AGE_EVERY_S = 1.0
_IDLE_AFTER_S = 600.0
_IDLE_EVERY_S = 30.0


class LiveTop:
    """One screen, from its first frame to its end."""

    def __init__(
        self,
        screen: Screen,
        command_of: Callable[[Deed], TerminalCommand],
        *,
        every_s: float,
        color: bool,
        filters: KeptFilters | None = None,
    ) -> None:
        """`command_of` makes the command that carries out an action."""
        self._screen = screen
        self._command_of = command_of
        self._filters = filters
        self._command: TerminalCommand | None = None
        """The one that has the terminal."""
        self._every_s = every_s
        self._worker: Worker | None = None
        self._last_key_s = time.monotonic()
        self._signal: int | None = None
        self._app: Application[None] = Application(
            layout=Layout(Window(FormattedTextControl(focusable=True))),
            key_bindings=key_bindings(self._pressed, self._pasted),
            full_screen=True,
            color_depth=ColorDepth.DEPTH_4_BIT if color else ColorDepth.DEPTH_1_BIT,
            refresh_interval=_AGE_EVERY_S,
        )
        self._app.renderer = LineRenderer(self._app.renderer.style, self._app.output, self._frame)
        self._app.ttimeoutlen = 0.05  # Escape alone is told from the first byte of another key
        self._app.timeoutlen = 0.1

    def run(self, worker: Worker) -> None:
        """Show it until a key or a signal ends it. `Interrupted` for a signal, and if the terminal is gone."""
        self._worker = worker
        worker.every_s = self._every_s
        try:
            self._app.run(pre_run=self._begin, handle_sigint=False, set_exception_handler=False)
        except (EOFError, OSError) as error:
            raise Interrupted(signal.SIGHUP) from error
        finally:
            signals.raise_once()
            worker.end()
        if self._signal is not None:
            raise Interrupted(self._signal)

    # -- called by the worker, in its thread

    def told(self, found: Round) -> None:
        """A round has come."""
        self._in_main_thread(lambda: self._screen.take(found, time.monotonic()))

    def looked(self, node: OpenNode) -> None:
        """The open node has said more."""
        self._in_main_thread(lambda: self._screen.look(node))

    def failed(self, reason: str) -> None:
        """Something is to be said."""
        self._in_main_thread(lambda: self._screen.say(reason))

    def _in_main_thread(self, act: Callable[[], None]) -> None:
        def do() -> None:
            act()
            self._app.invalidate()

        loop = self._app.loop
        assert loop is not None  # the worker begins after it
        with contextlib.suppress(RuntimeError):  # the screen is closed
            loop.call_soon_threadsafe(do)

    # -- in the main thread

    def _begin(self) -> None:
        """Signals end the screen like a key does from now on, so that the terminal is as it was. Ask the nodes."""
        loop, worker = self._app.loop, self._worker
        assert loop is not None
        assert worker is not None
        worker.begin()
        for one in signals.STOPPING:
            if signal.getsignal(one) is not signal.SIG_IGN:
                loop.add_signal_handler(one, self._stopped, one)
        loop.add_signal_handler(signal.SIGCONT, self._continued)

    def _continued(self) -> None:
        """A shell had the terminal meanwhile, and has left it as it wants it: take it again."""
        if self._command is None:
            self._app.input.raw_mode().__enter__()  # the one that was entered at first is left at the end
            self._app.renderer.reset()
            self._app.invalidate()

    def _stopped(self, signum: int) -> None:
        if self._command is not None and signum == signal.SIGINT:
            return  # it is for the command that has the terminal
        self._signal = signum
        if self._command is not None:
            self._command.end()
        else:
            self._leave()

    def _leave(self) -> None:
        if self._app.is_running and not self._app.is_done:
            self._app.exit()

    def _pressed(self, key: str) -> None:
        now_s = time.monotonic()
        was_idle = self._is_idle(now_s)
        self._last_key_s = now_s
        self._screen.press(key)
        if self._filters is not None:
            self._filters.note(self._screen.state.history)
        if self._worker is not None:
            self._worker.open_node = self._screen.open_node
            if was_idle:
                self._worker.every_s = self._every_s
                self._worker.hurry()
        if self._screen.state.is_over:
            self._leave()
        if (todo := self._screen.take_todo()) is not None:
            if todo.action is Action.EXPORT:
                self._export(todo)
            else:
                self._app.create_background_task(self._carry_out(todo))

    async def _carry_out(self, deed: Deed) -> None:
        self._command = self._command_of(deed)
        try:
            await run_in_terminal(self._command.run, in_executor=True)
        except OSError as error:  # the program is not there
            self._screen.say(str(error))
        finally:
            self._command = None
            if self._signal is not None:
                self._leave()
        if self._worker is not None:
            self._worker.hurry()

    def _export(self, deed: Deed) -> None:
        try:
            if is_there(deed.text) and not deed.is_sure:
                self._screen.ask_to_replace(deed)
            else:
                self._screen.say(export(self._screen.exported(deed.keys), deed.text))
        except ClbalanceError as error:
            self._screen.say(error.message)

    def _pasted(self, text: str) -> None:
        """Text is for a filter. On the table it would be keys that nobody has pressed."""
        if self._screen.state.focus in {Focus.FILTER, Focus.QUESTION} and _is_text_asked(self._screen):
            for character in text.replace("\n", " "):
                self._screen.press(character)

    def _is_idle(self, now_s: float) -> bool:
        return now_s - self._last_key_s >= _IDLE_AFTER_S and self._every_s < _IDLE_EVERY_S

    def _frame(self, width: int, height: int) -> tuple[Line, ...]:
        """The present frame."""
        now_s = time.monotonic()
        idle = ""
        if self._is_idle(now_s):
            idle = f"no key for {span(_IDLE_AFTER_S)}: nodes are asked every {span(_IDLE_EVERY_S)}, until a key comes"
            if self._worker is not None:
                self._worker.every_s = _IDLE_EVERY_S
        return self._screen.lines(width, height, now_s, idle)


def _is_text_asked(screen: Screen) -> bool:
    """Whether what is typed is text; a question that `y` answers takes no pasted one."""
    asked = screen.state.asked
    return asked is None or bool(asks_for(asked))


def show_live(
    cluster: ClusterContext, groups: tuple[NodeGroup, ...], first: TopState, every_s: float, keys: Keys
) -> None:
    """Show the live screen until it is left. What is said meanwhile on standard error comes after it."""
    console = cluster.console
    said = io.BytesIO()
    aside = replace(console.outlets, stderr=Outlet(file=said))
    quiet = replace(cluster, console=replace(console, outlets=aside))
    filters = KeptFilters(lambda text: quiet.console.say(messages.warning(text)))
    nothing_yet = Round(number=0, taken_at=datetime.now().astimezone(), rows=())
    screen = Screen(filters.before(first), nothing_yet, blocks_for(os.environ), filter_parser(cluster), keys)
    screen.say(f"asking {counted(len(cluster.candidates.nodes), 'node')}")
    command_of = partial(terminal_command, cluster)
    live = LiveTop(screen, command_of, every_s=every_s, color=console.display.color, filters=filters)
    try:
        live.run(Worker(quiet, groups, live.told, live.looked, live.failed))
    finally:
        console.outlets.stderr.send(said.getvalue())
