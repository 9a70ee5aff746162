"""The standard input of a job: none, a file, a copy of ours, or ours as it comes (docs/design/input.md)."""

import contextlib
import os
import queue
import select
import socket
import stat
import threading
import time
from collections.abc import Callable

from clbalance.cli.run.options import JobOptions
from clbalance.cli.run.standard_input import Origin, origin
from clbalance.errors import UsageError
from clbalance.model.job import STANDARD_INPUT, NoInput, Submitted
from clbalance.ports import JobInput, Journal, LiveInput
from clbalance.render import messages
from clbalance.wiring.folders import working_directory

MOST_KEPT_BYTES = 64 << 20
"""More standard input is not copied."""
_PIECE_BYTES = 48 << 10
_AHEAD = 4  # pieces that are read before the job takes them
_END_WITHIN_S = 10.0  # for input that was only redirected; `--stdin -` waits
_TELL_AFTER_S = 1.0


class FileInput:
    """A file as standard input. It is read in pieces from its place, so it may be large."""

    live = None

    def __init__(self, path: str) -> None:
        self.path = str(working_directory() / path)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.pread(self._fd, 1, 0)
        except OSError as error:
            raise UsageError(
                f"`--stdin {path}`: {error.strerror}", hint="a file, or `--stdin -` for a pipe to this command"
            ) from error

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._fd, size, offset)


class KeptInput:
    """A copy of the whole standard input, for a job that is started in several places or more than once."""

    path = STANDARD_INPUT
    live = None

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


class PassedOnInput:
    """Our standard input, read while the job runs: `ports.JobInput` and `ports.LiveInput`.

    A thread reads it, a few pieces ahead. It ends with the process: a read(2) cannot be cut short.
    """

    path = STANDARD_INPUT

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[bytes | OSError] = queue.SimpleQueue()
        self._wanted: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def live(self) -> LiveInput:
        return self

    def read(self, offset: int, size: int) -> bytes:
        return b""

    def begin(self, wake: Callable[[], None]) -> None:
        for _ in range(_AHEAD):
            self._wanted.put(None)
        threading.Thread(target=self._read_all, args=(wake,), name="clbalance-input", daemon=True).start()

    def take(self) -> bytes | None:
        try:
            piece = self._pieces.get_nowait()
        except queue.Empty:
            return None
        if isinstance(piece, OSError):
            raise piece
        self._wanted.put(None)
        return piece

    def _read_all(self, wake: Callable[[], None]) -> None:
        piece: bytes | OSError = b"-"
        while piece and not isinstance(piece, OSError):
            self._wanted.get()
            try:
                piece = _next_piece()
            except OSError as error:
                piece = error
            self._pieces.put(piece)
            wake()


def _next_piece() -> bytes:
    """The next bytes of our standard input. It may be non-blocking: that belongs to the open file, not to us."""
    while True:
        select.select([0], [], [])
        try:
            return os.read(0, _PIECE_BYTES)
        except BlockingIOError:
            continue  # another process was quicker


def job_input(
    options: JobOptions, *, taken_for: str | None, copied_for: str | None, say: Callable[[str], None]
) -> JobInput:
    """The standard input for these options; `UsageError` if it cannot be had.

    `taken_for`: what our own standard input is read for already. `copied_for`: the option for which a copy is needed.
    `say`: tells the user what is not passed on, and what is waited for.
    """
    is_asked = options.stdin == STANDARD_INPUT
    if options.stdin is not None and not is_asked:
        return FileInput(options.stdin)
    if taken_for is not None or options.pty:
        if is_asked:
            raise UsageError(f"`--stdin -`: standard input is {taken_for} already", hint="`--stdin FILE`")
        return NoInput()
    found = origin()
    if is_asked and found is Origin.TERMINAL:
        raise UsageError("`--stdin -`: standard input is a terminal", hint="`--pty` gives the job this terminal")
    if (found in (Origin.NONE, Origin.TERMINAL) and not is_asked) or _is_at_end():
        return NoInput()
    is_meant = is_asked or found is Origin.REDIRECTED or (found is Origin.GIVEN and copied_for is None)
    if not is_meant:
        say(
            messages.note(
                "standard input is not passed on, because the calling shell may read it too; `--stdin -` passes it on"
            )
        )
        return NoInput()
    if copied_for is None:
        return PassedOnInput()
    return copied_input(0, copied_for, say, end_within_s=None if is_asked else _END_WITHIN_S)


def _is_at_end() -> bool:
    """Whether standard input has ended already, without reading from it."""
    mode = os.fstat(0).st_mode
    if stat.S_ISREG(mode):
        return os.lseek(0, 0, os.SEEK_CUR) >= os.fstat(0).st_size
    if stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(0)) as ours, contextlib.suppress(OSError):
            return not ours.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return False
    poll = select.poll()
    poll.register(0, select.POLLIN)
    return any(events & select.POLLHUP and not events & select.POLLIN for _, events in poll.poll(0))


def copied_input(
    fd: int, copied_for: str, say: Callable[[str], None], *, end_within_s: float | None = _END_WITHIN_S
) -> JobInput:
    """All that comes from `fd`; `UsageError` if it is too much, or does not end in time. None: it is waited for."""
    content = bytearray()
    began = time.monotonic()
    patience_s: float | None = _TELL_AFTER_S
    while len(content) <= MOST_KEPT_BYTES:
        left_s = None if patience_s is None else max(0.0, began + patience_s - time.monotonic())
        if select.select([fd], [], [], left_s)[0]:
            piece = _read(fd)
            if piece == b"":
                return KeptInput(bytes(content)) if content else NoInput()
            content += piece or b""
        elif patience_s == _TELL_AFTER_S:
            say(messages.note(f"waiting for the end of standard input, which is copied whole for `{copied_for}`"))
            patience_s = end_within_s
        else:
            raise UsageError(
                f"standard input does not end, and is copied whole for `{copied_for}`",
                hint="`< /dev/null` gives the job none, `--stdin -` waits for the end",
            )
    raise UsageError(
        f"standard input has more than {MOST_KEPT_BYTES >> 20} MiB, and is copied whole for `{copied_for}`",
        hint="`--stdin FILE` takes a file of any size, `< /dev/null` gives the job none",
    )


def _read(fd: int) -> bytes | None:
    """What there is to read; None if another process was quicker."""
    try:
        return os.read(fd, 1 << 20)
    except BlockingIOError:
        return None
    except OSError as error:
        raise UsageError(f"standard input: {error.strerror}", hint="`< /dev/null` gives the job none") from error


def input_of(journal: Journal, job: int, submitted: Submitted) -> JobInput:
    """The standard input of a job that was submitted before; `UsageError` if the file is gone, or no copy was kept."""
    if submitted.stdin_path is None:
        return NoInput()
    if submitted.stdin_path != STANDARD_INPUT:
        return FileInput(submitted.stdin_path)
    content = journal.stdin(job)
    if content is None:
        raise UsageError(
            f"job {job} had standard input that was passed on, and no copy of it was kept",
            hint="`clbalance run` again; with `--retry` or `--requeue` a copy is kept",
        )
    return KeptInput(content)
