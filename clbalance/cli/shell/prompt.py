"""The prompt on a terminal: history, search, completion. Between two keys the kept sessions are looked after.

Ctrl-C is a signal here, too. As a key it would be lost where it follows Enter at once: nobody reads keys while a
command runs, and a key in the terminal's queue does not become a signal when the terminal is given back.
"""

import asyncio
import contextlib
import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from types import FrameType

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.utils import is_dumb_terminal

from clbalance.cli.console import Console
from clbalance.cli.shell.completion import ShellCompleter
from clbalance.cli.shell.history import FileHistory
from clbalance.errors import ClbalanceError, StoreError
from clbalance.render import messages
from clbalance.store.location import state_directory, this_machine

HISTORY = "shell-history"
_TEND_EVERY_S = 0.5


class Prompt:
    """Reads lines from the terminal."""

    def __init__(self, console: Console, tend: Callable[[], None]) -> None:
        """`tend` is called now and then while nothing is typed."""
        self._tend = tend
        self._was_stopped = False
        self._stop: Callable[[], object] = lambda: None
        """Ends the prompt that is open, if there is one."""
        try:
            folder = state_directory(os.environ, this_machine()).path
        except StoreError as error:
            console.say(messages.warning(f"continuing without a history: {error.message}"))
            folder = None
        history = (
            InMemoryHistory()
            if folder is None
            else FileHistory(folder / HISTORY, lambda text: console.say(messages.warning(text)))
        )
        is_dumb = is_dumb_terminal()
        with create_app_session(output=PlainTextOutput(sys.stdout) if is_dumb else None):
            self._session: PromptSession[str] = PromptSession(
                history=history,
                completer=ThreadedCompleter(ShellCompleter(folder)),
                complete_while_typing=False,
                enable_suspend=True,
                input=InputWithSignals(sys.stdin),
                output=None if is_dumb else _output(),  # its plain prompt for dumb ones is used without one only
                color_depth=ColorDepth.from_env() or ColorDepth.DEPTH_4_BIT,  # the terminal's own colours, or NO_COLOR
            )

    def read(self, nodes: str) -> str | None:
        """The next line; empty after Ctrl-C, None after Ctrl-D or where the terminal is gone."""
        self._was_stopped = False
        before = signal.signal(signal.SIGINT, self._on_ctrl_c)
        line: str | None
        try:
            line = asyncio.run(self._read(f"{nodes}> "))
        except KeyboardInterrupt:  # it came as a key
            line = ""
        except EOFError:
            line = None
        signal.signal(signal.SIGINT, before)  # not after another signal, which has had it ignored
        return "" if self._was_stopped else line

    def _on_ctrl_c(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        self._was_stopped = True
        self._stop()

    async def _read(self, text: str) -> str:
        reading = asyncio.create_task(self._session.prompt_async(text, handle_sigint=False))
        tending = asyncio.create_task(self._keep_tending())
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(reading.cancel)
        if self._was_stopped:
            reading.cancel()
        try:
            return await reading
        except asyncio.CancelledError:
            if not self._was_stopped:
                raise
            return ""
        finally:
            self._stop = lambda: None
            tending.cancel()

    async def _keep_tending(self) -> None:
        while True:
            await asyncio.sleep(_TEND_EVERY_S)  # first the prompt is drawn
            with contextlib.suppress(ClbalanceError):  # the next command will tell
                self._tend()


class InputWithSignals(Vt100Input):
    """Keys of the terminal, of which Ctrl-C is none."""

    def raw_mode(self) -> contextlib.AbstractContextManager[None]:
        return self._raw_mode()

    @contextlib.contextmanager
    def _raw_mode(self) -> Iterator[None]:
        with super().raw_mode():
            with contextlib.suppress(termios.error):  # a terminal that is gone: reading tells
                iflag, oflag, cflag, lflag, ispeed, ospeed, characters = termios.tcgetattr(self.fileno())
                characters[termios.VQUIT] = characters[termios.VSUSP] = b"\0"  # these stay keys
                attributes = [iflag, oflag, cflag, lflag | termios.ISIG, ispeed, ospeed, characters]
                termios.tcsetattr(self.fileno(), termios.TCSANOW, attributes)
            yield


def _output() -> Vt100_Output:
    output = Vt100_Output.from_pty(sys.stdout, term=os.environ.get("TERM"))
    output.enable_cpr = False  # a terminal that does not answer where its cursor is would be complained about
    return output
