"""A program on a terminal of its own, whose screen is read at once and thrown away: for what is drawn again and again."""

import os
import pty
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from .site import WrongRunError

COLUMNS, ROWS = 140, 50
_ENDS_WITHIN_S = 300.0


class OnTerminal:
    """The program while it runs."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.began_s = time.perf_counter()
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, COLUMNS))
        self._child = subprocess.Popen(
            ["setsid", "-c", *argv], stdin=slave, stdout=slave, stderr=slave, env={**env, "TERM": "xterm-256color"}
        )
        os.close(slave)
        self._came = threading.Condition()
        self._text = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def type(self, keys: bytes) -> float:
        """The seconds until something is drawn."""
        with self._came:
            self._text, began_s = b"", time.perf_counter()
            os.write(self._master, keys)
            self._wait(lambda: bool(self._text))
            return time.perf_counter() - began_s

    def wait_for(self, text: bytes, within_s: float = 60.0) -> float:
        """The seconds since its start until this has come."""
        with self._came:
            self._wait(lambda: text in self._text, within_s)
            return time.perf_counter() - self.began_s

    def cpu_s(self) -> tuple[float, float]:
        """The processor time of the program, and of what it has started."""
        own = psutil.Process(self._child.pid)
        times = own.cpu_times()
        others = sum(sum(one.cpu_times()[:4]) for one in own.children(recursive=True))
        return times.user + times.system, times.children_user + times.children_system + others

    def memory_bytes(self) -> int:
        """Its resident memory, without that of what it has started."""
        return int(psutil.Process(self._child.pid).memory_info().rss)

    def wait(self, within_s: float) -> None:
        """For its end."""
        try:
            self._child.wait(within_s)
        except subprocess.TimeoutExpired as error:
            raise WrongRunError(f"it has not ended after {within_s:g} s") from error

    def close(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._reader.join()
        os.close(self._master)

    def _wait(self, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        if not self._came.wait_for(holds, within_s):
            raise WrongRunError(f"what was waited for has not come; the last of what has: {self._text[-100:]!r}")

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # the other side is closed
                return
            with self._came:
                self._text = (self._text + piece)[-1_000_000:]
                self._came.notify_all()


@contextmanager
def on_terminal(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[OnTerminal]:
    """Run it, and end it with the block."""
    program = OnTerminal(argv, env)
    try:
        yield program
    finally:
        program.close()


def cpu_to_the_end(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """The processor time of a program that ends by itself."""
    before = os.times()
    with on_terminal(argv, env) as program:
        program.wait(_ENDS_WITHIN_S)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system
