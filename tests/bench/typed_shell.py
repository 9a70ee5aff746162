"""`clbalance shell` on a terminal, as a person uses it: a line is typed, and the prompt comes back."""

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import psutil

from .figure import Run
from .site import WrongRunError

_PROMPT = re.compile(rb"\x1b\[\?2004h.*?>.*?\x1b\[\?25h", re.DOTALL)
"""Each prompt turns bracketed paste on, and shows the cursor once it is drawn."""
_TIMEOUT_S = 120.0


class TypedShell:
    """A shell of its own on a terminal of its own. It ends with the block."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], *, rows: int = 50, columns: int = 120) -> None:
        self._argv, self._env, self._size = argv, {"TERM": "xterm-256color", **env}, (rows, columns)
        self._output = b""

    def __enter__(self) -> Self:
        self._terminal, slave = pty.openpty()
        try:
            termios.tcsetwinsize(slave, self._size)
            # `setsid -c`: on this terminal Ctrl-C is a signal, as at home.
            self.child = subprocess.Popen(
                ["setsid", "-c", *self._argv], stdin=slave, stdout=slave, stderr=slave, env=dict(self._env)
            )
        finally:
            os.close(slave)
        self.until_prompt()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._terminal)  # it goes as when a window is closed
        try:
            self.child.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def line(self, text: str) -> Run:
        """From Enter until the next prompt."""
        cpu_s, began = self._spent_s(), time.perf_counter()
        self.type(f"{text}\r".encode())
        self.until_prompt()
        return Run(wall_s=time.perf_counter() - began, cpu_s=self._spent_s() - cpu_s)

    def type(self, keys: bytes) -> None:
        """Just the keys."""
        os.write(self._terminal, keys)

    def until_prompt(self) -> bytes:
        """What came until the next prompt, with it."""
        while (found := _PROMPT.search(self._output)) is None:
            if not select.select([self._terminal], [], [], _TIMEOUT_S)[0]:
                raise WrongRunError(f"no prompt within {_TIMEOUT_S:g} s after {self._output[-500:]!r}")
            try:
                self._output += os.read(self._terminal, 1 << 16)
            except OSError as error:
                raise WrongRunError(f"the shell has ended: {self._output[-500:]!r}") from error
        printed, self._output = self._output[: found.end()], self._output[found.end() :]
        return printed

    def _spent_s(self) -> float:
        """Processor time of the shell, and of every ssh that it has now or has waited for."""
        spent = 0.0
        shell = psutil.Process(self.child.pid)
        for one in [shell, *shell.children(recursive=True)]:
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue
            spent += times.user + times.system + (times.children_user + times.children_system) * (one == shell)
        return spent
