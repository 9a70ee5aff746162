"""The prompt on a terminal: history, search, completion. Between two keys the kept sessions are looked after."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.output.color_depth import ColorDepth
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
        self._session: PromptSession[str] = PromptSession(
            history=history,
            completer=ThreadedCompleter(ShellCompleter(folder)),
            complete_while_typing=False,
            enable_suspend=True,
            output=None if is_dumb_terminal() else _output(),  # its plain prompt for such is used without one only
            color_depth=ColorDepth.from_env() or ColorDepth.DEPTH_4_BIT,  # the terminal's own colours, or NO_COLOR
        )

    def read(self, nodes: str) -> str | None:
        """The next line; empty after Ctrl-C, None after Ctrl-D or where the terminal is gone."""
        try:
            return asyncio.run(self._read(f"{nodes}> "))
        except KeyboardInterrupt:
            return ""
        except EOFError:
            return None

    async def _read(self, text: str) -> str:
        tending = asyncio.create_task(self._keep_tending())
        try:
            return await self._session.prompt_async(text, handle_sigint=False)
        finally:
            tending.cancel()

    async def _keep_tending(self) -> None:
        while True:
            await asyncio.sleep(_TEND_EVERY_S)  # first the prompt is drawn
            with contextlib.suppress(ClbalanceError):  # the next command will tell
                self._tend()


def _output() -> Vt100_Output:
    output = Vt100_Output.from_pty(sys.stdout, term=os.environ.get("TERM"))
    output.enable_cpr = False  # a terminal that does not answer where its cursor is would be complained about
    return output
