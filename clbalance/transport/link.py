"""A byte pipe to one command on one node, by ssh or on this machine (`ports.Link`).

The process is in a session of its own, as those of `session_client`: a terminal's Ctrl-C must not end it before we do.
Its standard input and output are one socket, its stderr a pipe of which the end is kept, to say why it ended. Every
wait is a poll with a deadline: a frozen ssh would never end by itself.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from clbalance.model import Cause, NodeName
from clbalance.ports import LinkError
from clbalance.transport.session_client import KEPT_STDERR_BYTES, MAX_STDERR_BYTES
from clbalance.transport.ssh_failure import Failure, classify

_BUFFER_BYTES: Final = 1 << 20  # of the socket, in each direction: the kernel's default makes many small reads
_KEPT_BYTES: Final = 1 << 20  # received while we send; with more, sending waits until they are taken
_EXIT_GRACE_S: Final = 0.5  # for a process that closed its output
_REAPED_WITHIN_S: Final = 1.0  # after SIGKILL; in uninterruptible sleep it stays longer


class ProcessLink:
    """`ports.Link` over a process that was started here. `failed` is told why it ended badly."""

    def __init__(
        self,
        node: NodeName,
        argv: Sequence[str],
        *,
        within_s: float,
        idle_s: float,
        failed: Callable[[Failure], None] = lambda _: None,
    ) -> None:
        self._node = node
        self._within_s = within_s
        self._idle_s = idle_s
        self._failed = failed
        self._answer_by = time.monotonic() + within_s
        self._has_answered = False
        self._is_closed = threading.Event()
        self._kept = bytearray()
        self._stderr_tail = b""
        self._stderr_bytes = 0
        self._socket, theirs = socket.socketpair()
        self._stderr, errors = os.pipe2(os.O_CLOEXEC)
        try:
            for end in (self._socket, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._process = subprocess.Popen(
                argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=errors, start_new_session=True
            )
        except OSError as error:
            self._socket.close()
            os.close(self._stderr)
            raise LinkError(Cause.LOCAL, f"cannot start a process: {error.strerror}") from error
        finally:
            theirs.close()
            os.close(errors)
        self._socket.setblocking(False)
        os.set_blocking(self._stderr, False)
        self._poll = select.poll()
        self._poll.register(self._stderr, select.POLLIN)
        self._poll.register(self._socket, select.POLLIN)

    @property
    def node(self) -> NodeName:
        return self._node

    def set_idle(self, idle_s: float) -> None:
        self._idle_s = idle_s

    def send(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        until = self._deadline()
        while left:
            try:
                count = self._socket.send(left)
            except BlockingIOError:
                reads = len(self._kept) < _KEPT_BYTES
                moved = self._wait(select.POLLOUT | (select.POLLIN if reads else 0), until)
                if moved & select.POLLIN and self._keep():
                    until = self._deadline()
                continue
            except OSError as error:
                raise self._end() from error
            left = left[count:]
            until = self._deadline()

    def send_end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def recv(self, most: int) -> bytes:
        if self._kept:
            taken = bytes(self._kept[:most])
            del self._kept[:most]
            return taken
        until = self._deadline()
        while True:
            try:
                data = self._socket.recv(most)
            except BlockingIOError:
                self._wait(select.POLLIN, until)
                continue
            except OSError as error:
                raise self._end() from error
            if data:
                self._has_answered = True
                return data
            return self._end_of_output()

    def recv_ready(self) -> bool:
        if self._kept:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._is_closed.set()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits; it alone closes descriptors

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAPED_WITHIN_S)
        self._socket.close()
        stderr, self._stderr = self._stderr, -1
        if stderr >= 0:
            os.close(stderr)

    def _deadline(self) -> float:
        return time.monotonic() + self._idle_s if self._has_answered else self._answer_by

    def _wait(self, wanted: int, until: float) -> int:
        """Wait for one of these events of the socket, and return those that came. `LinkError` at the deadline."""
        self._poll.modify(self._socket, wanted)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise self._late(wanted)
            came = dict(self._poll.poll(left * 1000))
            if self._stderr in came:
                self._hear_errors()
            if self._socket.fileno() in came:
                return came[self._socket.fileno()]

    def _keep(self) -> bool:
        """Receive while we send; whether anything came. `LinkError` if the process has ended."""
        try:
            data = self._socket.recv(_KEPT_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._end() from error
        if not data:
            raise self._end()
        self._has_answered = True
        self._kept += data
        return True

    def _hear_errors(self) -> None:
        try:
            data = os.read(self._stderr, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._stderr)
        self._stderr_bytes += len(data)
        self._stderr_tail = (self._stderr_tail + data)[-KEPT_STDERR_BYTES:]
        if self._stderr_bytes > MAX_STDERR_BYTES:
            raise LinkError(Cause.GARBLED, "more than 1 MiB on standard error")

    def _late(self, wanted: int) -> LinkError:
        if not self._has_answered:
            return LinkError(Cause.TIMEOUT, f"no answer within {self._within_s:g} s", again=False)
        what = "it took nothing" if wanted & select.POLLOUT else "nothing came"
        return LinkError(Cause.TIMEOUT, f"{what} for {self._idle_s:g} s")

    def _end_of_output(self) -> bytes:
        """Empty if the process ended well."""
        if not self._is_closed.is_set() and self._exit_code() == 0:
            return b""
        raise self._end()

    def _end(self) -> LinkError:
        """Why the process ended, or stopped to talk to us."""
        if self._is_closed.is_set():
            return LinkError(Cause.LOST, "the connection was closed here")
        rc = self._exit_code()
        for _ in range(KEPT_STDERR_BYTES >> 10):
            before = self._stderr_bytes
            self._hear_errors()
            if self._stderr_bytes == before:
                break
        failure = classify(rc if rc >= 0 else 128 - rc, self._stderr_tail.decode("utf-8", "replace"))
        self._failed(failure)
        return LinkError(failure.cause, failure.reason, again=failure.again and not self._has_answered)

    def _exit_code(self) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_EXIT_GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_REAPED_WITHIN_S)
        return -signal.SIGKILL
