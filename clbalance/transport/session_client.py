"""One shell as a client of ClusterShell's engine, and a way to wake the engine's loop from another thread.

It differs from ClusterShell's own ssh client (docs/design/transport.md): `--` goes before the host. Processes are
started by the standard library (safe with threads) in a session of their own (a terminal's Ctrl-C must not reach ssh
before the agent was asked to end the job). The loop never blocks on a process that closed its output but lives on.
The length of a line, and all of stderr, are limited. Output is read only as fast as it is taken.
"""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ClusterShell.Engine.Engine import E_READ, E_WRITE
from ClusterShell.Worker.EngineClient import EngineClientEOF, EnginePort
from ClusterShell.Worker.Exec import ExecClient, ExecWorker

from clbalance.model import NodeName
from clbalance.transport.ssh_command import ssh_argv

if TYPE_CHECKING:  # most calls share no connections
    from clbalance.transport.sharing.connections import SharedConnections, SharedSession

_EXIT = "exit"  # name of the stream that becomes readable when the process has exited
MAX_LINE_BYTES = 1 << 20
KEPT_STDERR_BYTES = 16 << 10
MAX_STDERR_BYTES = 1 << 20  # of one session: banners and ssh's own messages are far shorter
_MOST_READS_AT_END = 64  # of 64 KiB: a pipe holds less, unless a process that outlived ours goes on writing
_EXIT_GRACE_S = 0.5  # for a process that closed its output, if the kernel has no pidfd (before Linux 5.3)


class SessionClient(ExecClient):  # type: ignore[misc]  # ClusterShell ships no types
    """Runs `worker.argv(node)`. Gives whole lines, and at the end the exit code, to the worker's handler."""

    popen: "subprocess.Popen[bytes]"
    _stderr_bytes = 0

    def _start(self) -> "SessionClient":
        worker = self.worker
        to_child, stdin = os.pipe2(os.O_CLOEXEC)
        stdout, from_child = os.pipe2(os.O_CLOEXEC)
        stderr, errors = os.pipe2(os.O_CLOEXEC)
        try:
            self.popen = subprocess.Popen(
                worker.argv(self.key),
                stdin=to_child,
                stdout=from_child,
                stderr=errors,
                start_new_session=True,
            )
        except OSError:
            for fd in (stdin, stdout, stderr):
                os.close(fd)
            raise
        finally:
            for fd in (to_child, from_child, errors):
                os.close(fd)
        for fd in (stdin, stdout, stderr):
            os.set_blocking(fd, False)
        exited = self._exit_fd()
        # Only the exit of the process ends the session: a ControlMaster that it left may keep stderr open for ever.
        self.streams.set_stream(worker.SNAME_STDERR, stderr, E_READ, retain=False)
        self.streams.set_stream(worker.SNAME_STDOUT, stdout, E_READ, retain=exited is None)
        self.streams.set_stream(worker.SNAME_STDIN, stdin, E_WRITE, retain=False)
        if exited is not None:
            self.streams.set_stream(_EXIT, exited, E_READ, retain=True)
        return self

    def _exit_fd(self) -> int | None:
        try:
            return os.pidfd_open(self.popen.pid)
        except OSError:
            return None

    def _handle_read(self, sname: str) -> None:
        if sname == _EXIT:
            raise EngineClientEOF
        chunk = self._read(sname)
        stream = self.streams[sname]
        if sname == self.worker.SNAME_STDERR:
            stream.rbuf = (stream.rbuf + chunk)[-KEPT_STDERR_BYTES:]
            self._stderr_bytes += len(chunk)  # since the last line on standard output
            if self._stderr_bytes > MAX_STDERR_BYTES:
                self._refuse("more than 1 MiB on standard error")
            return
        *lines, rest = (stream.rbuf + chunk).split(b"\n")
        stream.rbuf = rest
        if lines:
            self._stderr_bytes = 0
            self.worker.has_answered = True
            self._hand_over(lines)
        if len(rest) > MAX_LINE_BYTES:
            stream.rbuf = b""
            self._refuse("a line of more than 1 MiB")

    def _hand_over(self, lines: list[bytes]) -> None:
        """Give whole lines to the worker's handler."""
        self.worker.eh.wrote(self.worker, self.key, lines)

    def _refuse(self, what: str) -> None:
        """Have the session ended for what it has sent."""
        self.worker.eh.sent_too_much(self.worker, what)

    def _flush_read(self, sname: str) -> None:
        """Keep stderr in the worker, for `classify`. A last line of stdout without newline is dropped."""
        if sname == self.worker.SNAME_STDERR and sname in self.streams:
            self.worker.stderr_tail = self.streams[sname].rbuf

    def _close(self, abort: bool, timeout: bool) -> None:
        del timeout  # `ClushSessions` keeps deadlines
        if not abort:
            self._drain()
        rc = self._reap(patience_s=0.0 if abort else _EXIT_GRACE_S)
        self._flush_read(self.worker.SNAME_STDERR)
        self.streams.clear()
        self.invalidate()
        self.worker.ended()
        self._tell_end(rc if rc >= 0 else 128 - rc, abort=abort)

    def _tell_end(self, rc: int, *, abort: bool) -> None:
        """By itself: ClusterShell's worker inspects the signature of a handler's method before each call."""
        del abort
        self.worker.eh.ev_hup(self.worker, self.key, rc)

    def _drain(self) -> None:
        """Read the output that the process wrote before its exit and the loop has not read."""
        for sname in (self.worker.SNAME_STDOUT, self.worker.SNAME_STDERR):
            with contextlib.suppress(EngineClientEOF, BlockingIOError, KeyError):
                for _ in range(_MOST_READS_AT_END):
                    self._handle_read(sname)

    def _set_reading(self, sname: str) -> None:
        """Wait for more output, unless what was read has not been taken yet.

        Do nothing during `_drain`: the client is not registered with the loop any more.
        """
        if self.registered and not (sname == self.worker.SNAME_STDOUT and self.worker.must_pause()):
            super()._set_reading(sname)

    def go_on_reading(self) -> None:
        """Wait for more output after a pause."""
        if self.registered and self.worker.SNAME_STDOUT in self.streams:
            super()._set_reading(self.worker.SNAME_STDOUT)

    def _reap(self, patience_s: float) -> int:
        """The exit code; a process that has not exited within `patience_s` is killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.popen.wait(patience_s)
        with contextlib.suppress(ProcessLookupError):
            self.worker.kill(self.popen)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.popen.wait(1.0)
        return -signal.SIGKILL  # in uninterruptible sleep, for example on a dead file system


class SessionWorker(ExecWorker):  # type: ignore[misc]  # ClusterShell ships no types
    """A worker for one node. `stderr_tail` is set when its client is closed.

    `must_pause` says whether output has to wait; `go_on_reading` ends that.
    """

    SHELL_CLASS = SessionClient
    stderr_tail = b""
    has_answered = False
    must_pause: Callable[[], bool] = staticmethod(lambda: False)

    def go_on_reading(self) -> None:
        """Read output again."""
        for client in self._clients:
            client.go_on_reading()

    def argv(self, node: str) -> list[str]:
        """The process to start for `node`."""
        raise NotImplementedError

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """End its process with its whole group."""
        os.killpg(process.pid, signal.SIGKILL)

    def ended(self) -> None:
        """Its process is gone."""

    @property
    def may_share(self) -> bool:
        """Whether it has to do with a shared connection: ssh hides what a `ProxyCommand` says then."""
        return False

    @property
    def is_on_shared(self) -> bool:
        """Whether it goes over a connection that was there already, and so should answer soon."""
        return False


class LocalWorker(SessionWorker):
    """A shell on this machine."""

    def argv(self, node: str) -> list[str]:
        del node
        return shlex.split(self.command)


class SshWorker(SessionWorker):
    """A shell on a node, by OpenSSH. The user's own options come first: ssh takes the first value it sees."""

    def __init__(
        self, *args: Any, shared: "SharedConnections | None" = None, no_sharing: bool = False, **kwargs: Any
    ) -> None:
        self._shared = shared
        self._session: SharedSession | None = None
        self.no_sharing = no_sharing
        super().__init__(*args, **kwargs)

    def argv(self, node: str) -> list[str]:
        info = self.task.info
        if self._shared is not None and not self.no_sharing:
            self._session = self._shared.join(NodeName(node))
        return ssh_argv(
            node,
            self.command,
            path=info("ssh_path"),
            options=info("ssh_options") or "",
            more=self._sharing(),
            user=info("ssh_user") or "",
            connect_timeout_s=info("connect_timeout"),
            lacks=info("ssh_lacks"),
        )

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """Only ssh itself where a shared connection is made: a `ProxyCommand` of the group carries all its sessions."""
        if self._session is not None and (self.has_answered or self._session.is_needed_by_others()):
            process.kill()
        else:
            super().kill(process)

    def ended(self) -> None:
        if self._shared is not None and self._session is not None:
            self._shared.leave(self._session)

    @property
    def may_share(self) -> bool:
        return self._session is not None

    @property
    def is_on_shared(self) -> bool:
        return self._session is not None and self._session.stands

    def _sharing(self) -> tuple[str, ...]:
        if self.no_sharing:
            return ("-oControlPath=none",)
        return () if self._session is None else self._session.options


# Waking ClusterShell's loop from another thread, without locks that a signal could leave held.


class WakeUp(EnginePort):  # type: ignore[misc]  # ClusterShell ships no types
    """Makes the loop call its handler's `ev_wake`. Unlike ClusterShell's own ports it carries no message."""

    def wake(self) -> None:
        """Wake the loop. May be called in any thread, even if the loop has ended."""
        with contextlib.suppress(OSError, KeyError):  # a full pipe wakes as well
            os.write(self.streams["out"].fd, b"W")

    def _handle_read(self, sname: str) -> None:
        self._read(sname, 4096)
        self.eh.ev_wake()
