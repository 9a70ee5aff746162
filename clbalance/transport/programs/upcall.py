"""Runs one upcall of a group source: a shell command that prints nodes or groups, within limits of time and size."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from typing import IO

from clbalance.lazy_dataclass import dataclass

UPCALL_WITHIN_S = 10.0
MOST_BYTES = 8 << 20  # of output and complaints: 200,000 nodes, each on a line of its own, are less
_LOOK_AGAIN_S = 0.05  # whether the command has ended, although a process that it left keeps a pipe open
_GONE_WITHIN_S = 1.0


class UpcallLimitError(Exception):
    """The command did not end in time, or printed too much. All of its processes were killed."""


@dataclass(frozen=True, slots=True)
class UpcallResult:
    """The end of an upcall."""

    rc: int
    stdout: str
    stderr: str


def run_upcall(
    command: str,
    folder: str,
    within_s: float = UPCALL_WITHIN_S,
    *,
    keep_open: Collection[int] = (),
    env: Mapping[str, str] | None = None,
) -> UpcallResult:
    """Run `command` in `folder`. `UpcallLimitError`; `OSError` or `ValueError` if it cannot be started.

    Processes that it leaves behind are not waited for, even if they keep its output open. `keep_open`: descriptors
    that it inherits. `env`: its environment; None: ours.
    """
    until = time.monotonic() + within_s
    process = subprocess.Popen(  # noqa: S602 - an upcall is a shell command
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        shell=True,
        cwd=folder,
        start_new_session=True,
        pass_fds=tuple(keep_open),
        env=env,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with process.stdout as stdout, process.stderr as stderr:
            printed, complaints = _read(process, (stdout, stderr), until)
            rc = process.wait(max(0.0, until - time.monotonic()))
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GONE_WITHIN_S)
        if isinstance(error, subprocess.TimeoutExpired | TimeoutError):
            raise UpcallLimitError(f"has not ended within {within_s:g} s") from error
        raise
    return UpcallResult(rc, printed.decode("utf-8", "replace"), complaints.decode("utf-8", "replace"))


def _read(
    process: "subprocess.Popen[bytes]", pipes: tuple[IO[bytes], IO[bytes]], until: float
) -> tuple[bytearray, bytearray]:
    """All that is printed until the command ends. `TimeoutError` if that is later than `until`."""
    read = (bytearray(), bytearray())
    with selectors.DefaultSelector() as selector:
        for pipe, buffer in zip(pipes, read, strict=True):
            selector.register(pipe, selectors.EVENT_READ, buffer)
        while selector.get_map():
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            has_ended = process.poll() is not None  # before the look: what it has printed is there by then
            ready = selector.select(0.0 if has_ended else min(left_s, _LOOK_AGAIN_S))
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                key.data.extend(piece)
                if not piece:
                    selector.unregister(key.fileobj)
            if sum(map(len, read)) > MOST_BYTES:
                raise UpcallLimitError(f"prints more than {MOST_BYTES >> 20} MiB")
            if has_ended and not ready:
                break
    return read
