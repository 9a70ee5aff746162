"""The real command as a process of its own: run to its end, left running, or on a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import pyte

import clbalance
from clbalance.lab.cluster import Lab
from tests import leftovers
from tests.waiting import eventually

from . import forks

ARGV = (sys.executable, "-m", "clbalance")
TIMEOUT_S = 120.0
"""Only ends what hangs: how soon something is done on a busy machine is no promise."""
THIS_TREE = {"PYTHONPATH": str(Path(clbalance.__file__).parent.parent), **leftovers.marked()}
"""The package that is tested is the one that the tests import, whatever is installed."""

Child: TypeAlias = "subprocess.Popen[bytes] | forks.Started"
"""What goes on beside the test."""

_ROWS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a call ended. stdout is bytes, for it may be a job's own."""

    rc: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`clbalance` in an environment and a folder of the test's own."""

    env: Mapping[str, str]
    folder: Path
    opened: ExitStack = field(default_factory=ExitStack)
    """Ends what `start` started."""

    def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cwd: Path | None = None,
        within_s: float = TIMEOUT_S,
    ) -> Done:
        """Run it to its end."""
        done = forks.run(
            [*ARGV, *arguments],
            stdin=stdin,
            env={**self.env, **(env or {})},
            cwd=cwd or self.folder,
            timeout=within_s,
        )
        message = Done(rc=done.returncode, stdout=done.stdout, stderr=done.stderr.decode())
        assert "Traceback" not in message.stderr, message.stderr
        return message

    def start(self, *arguments: str) -> Child:
        """Leave it running; it is ended with the test."""
        child = forks.start([*ARGV, *arguments], env=self.env, cwd=self.folder)
        self.opened.callback(killed, child)
        return child

    def on_terminal(
        self, *arguments: str, columns: int = 80, rows: int = _ROWS, env: Mapping[str, str] | None = None
    ) -> "Terminal":
        """The same on a terminal of its own, still running. With fewer rows, the screen also has what has scrolled away."""
        env = {"TERM": "xterm", **self.env, **(env or {})}
        terminal = Terminal([*ARGV, *arguments], env, self.folder, columns, rows)
        self.opened.callback(terminal.close)
        return terminal


def impatient(command: Command) -> Command:
    """The same with the program's own patience for late nodes."""
    return replace(command, env={**command.env, "CLBALANCE_GRACE_S": ""})


def ended(child: Child, within_s: float = TIMEOUT_S) -> int:
    """The exit code of a child that is killed if it hangs."""
    try:
        return child.wait(within_s)
    except subprocess.TimeoutExpired:
        return killed(child)
    finally:
        _close_pipes(child)


def killed(child: Child) -> int:
    """The exit code of a child that nobody waits for any longer."""
    if child.poll() is None:
        child.kill()
    _close_pipes(child)
    return child.wait(TIMEOUT_S)


def _close_pipes(child: Child) -> None:
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


class Terminal:
    """A process with a controlling terminal, and the screen that its user would see."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], folder: Path, columns: int, rows: int) -> None:
        self._screen = pyte.Screen(columns, _ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._stream.use_utf8 = True
        self.raw = b""
        self._master, slave = pty.openpty()
        try:
            termios.tcsetwinsize(slave, (rows, columns))
            # `setsid -c`: in this session the terminal's Ctrl-C is a signal, as at home.
            self.child = subprocess.Popen(
                ["setsid", "-c", *argv], stdin=slave, stdout=slave, stderr=slave, env=dict(env), cwd=folder
            )
        finally:
            os.close(slave)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def resize(self, rows: int, columns: int) -> None:
        """As when its user drags the window's corner; the kernel tells who runs there (SIGWINCH)."""
        termios.tcsetwinsize(self._master, (rows, columns))

    def read_until(self, wanted: bytes) -> None:
        while wanted not in self.raw:
            assert self._read(), self.raw

    def read_while(self, holds: Callable[[], bool]) -> None:
        while holds():
            assert self._read(), self.raw

    def end(self) -> int:
        """The exit code, once all output has been read."""
        while self._read():
            pass
        return ended(self.child)

    def _read(self) -> bool:
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # EIO: the other side has closed
            return False
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)

    @property
    def printed(self) -> bytes:
        """All that came, less how progress and drafts wipe themselves: whether they show is a matter of time."""
        return re.sub(rb"\x1b\[\d+A\r\x1b\[J|\r\x1b\[K", b"", self.raw)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def colors(self) -> set[str]:
        """The foreground colours on the screen."""
        return {cell.fg for row in self._screen.buffer.values() for cell in row.values()}

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait(TIMEOUT_S)
        os.close(self._master)


def local_ssh(lab: Lab) -> list[int]:
    """Processes of this machine that talk to the lab as clients."""
    wanted = os.fsencode(lab.ssh_config)
    return [pid for pid, argv in command_lines() if wanted in argv]


def command_lines() -> Iterator[tuple[int, list[bytes]]]:
    """The words of every process of this machine."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                yield int(process.name), (process / "cmdline").read_bytes().split(b"\0")
            except OSError:  # gone meanwhile
                continue


@contextmanager
def nothing_left(lab: Lab, within_s: float = TIMEOUT_S) -> Iterator[None]:
    """What the block does leaves no process on any node, and no ssh here."""
    before = {node.name: set(node.processes()) for node in lab.nodes}
    yield
    eventually(
        lambda: not local_ssh(lab) and all(set(node.processes()) <= before[node.name] for node in lab.nodes), within_s
    )


def send(child: Child, number: signal.Signals) -> float:
    """Signal it; the seconds that it takes to go."""
    began = time.monotonic()
    child.send_signal(number)
    ended(child)
    return time.monotonic() - began
