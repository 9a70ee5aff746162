"""Follows a job: sends its output as fast as the client takes it."""

import binascii
import errno
import os

from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.protocol import (
    CHUNK_BYTES,
    POLL_LONGEST_S,
    POLL_SHORTEST_S,
    READ,
    Channel,
    MisfitError,
)

MYPY = False
if MYPY:
    from typing import Any


STREAMS = ("stdout", "stderr", "log", "spec")


class Stream:
    """One output file; `sent` and `acked` are byte offsets in it, `size` is its size when it was opened."""

    def __init__(self, name: str, fd: int, at: int) -> None:
        self.name = name
        self.fd = fd
        self.size = os.fstat(fd).st_size
        self.sent = at
        self.acked = at


def open_output(jobs: JobsFolder, job: str, name: str) -> "int | None":
    """Open an output file of a job. None if it was removed, by the job or by `reap`, or if it is a link."""
    try:
        folder = jobs.open(job)
        try:
            return os.open(name, READ, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return None


class Wanted:
    """The client's request to follow: streams, offsets, window (bytes) and when to stop. May raise `MisfitError`."""

    def __init__(self, request: "dict[str, Any]") -> None:
        self.window = request["window"]
        self.offsets = {name: request[name] for name in request["streams"] if name in STREAMS}
        self.to_the_end = request["stop"] == "end"
        if not 0 < self.window <= 1 << 30:
            raise MisfitError("follow: `window` must lie between 1 and 2^30 bytes, not %d" % self.window)
        if len(self.offsets) < len(request["streams"]) or request["stop"] not in ("now", "end"):
            raise MisfitError("follow: `streams` are stdout, stderr, log and spec, `stop` is now or end")


class Follower:
    """Sends a job's output, of each stream at most `window` bytes that the client has not acknowledged.

    If `to_the_end` is false, what is written meanwhile is not awaited: a job may write faster than the client reads.
    """

    def __init__(self, jobs: JobsFolder, job: str, wanted: Wanted) -> None:
        self.job = job
        self.window = wanted.window
        self.to_the_end = wanted.to_the_end
        self.missing: "list[str]" = []
        self.streams = [Stream(name, self.open(jobs, name), at) for name, at in wanted.offsets.items()]
        self.pause_s = POLL_SHORTEST_S
        self.due = 0.0
        self.drained = False
        self.told = True  # that the log may have grown

    def open(self, jobs: JobsFolder, name: str) -> int:
        fd = open_output(jobs, self.job, name)
        if fd is None:
            self.missing.append(name)
            return os.open(os.devnull, READ)
        return fd

    def close(self) -> None:
        for stream in self.streams:
            os.close(stream.fd)

    def acknowledge(self, name: str, offset: int) -> None:
        for stream in self.streams:
            if stream.name == name and stream.acked <= offset <= stream.sent:
                stream.acked = offset
                self.due = 0.0
                return
        raise MisfitError("ack: %.20r at %d is neither a stream nor was it sent" % (name, offset))

    def pump(self, channel: Channel, now: float) -> None:
        """Send the next chunk of each stream. Sets `drained` if no stream has more, and the time of the next look.

        A slot's log is read last and sent first, so that it names every task in the output after it. If there is no
        output, it is read when its supervisor has told of it, and else at the longest pause.
        """
        for name in self.missing:
            channel.complain("%s: its %s was removed" % (self.job, name), self.job)
        del self.missing[:]
        self.drained = True
        read = []  # type: list[tuple[Stream, bytes]]
        for stream in self.streams:
            is_due = self.told or self.pause_s >= POLL_LONGEST_S
            if stream.name != "log" or is_due or any(raw for _, raw in read):
                read.append((stream, self.read(stream, channel)))
        for stream, raw in sorted(read, key=lambda each: each[0].name != "log"):
            if raw:
                text = binascii.b2a_base64(raw, newline=False).decode("ascii")
                channel.say("output", job=self.job, stream=stream.name, offset=stream.sent, data=text)
                stream.sent += len(raw)
        self.told = not self.drained
        if any(raw and stream.name != "log" for stream, raw in read):
            self.pause_s = POLL_SHORTEST_S
        if not self.drained and any(raw for _, raw in read):
            self.due = now
        else:
            self.due = now + self.pause_s
            self.pause_s = min(self.pause_s * 1.5, POLL_LONGEST_S)

    def read(self, stream: Stream, channel: Channel) -> bytes:
        """The next chunk. `drained` becomes false if there may be more, perhaps once the client has acknowledged."""
        if stream.sent >= stream.size and not self.to_the_end:
            return b""
        room = min(CHUNK_BYTES, stream.acked + self.window - stream.sent)
        try:
            raw = os.pread(stream.fd, room, stream.sent) if room > 0 else b""
        except OSError as error:
            self.give_up(stream, channel, error)
            return b""
        self.drained = self.drained and len(raw) < room
        return raw

    def give_up(self, stream: Stream, channel: Channel, error: OSError) -> None:
        """Report once that the rest of a stream cannot be read, and read no more of it."""
        reason = "%s: the rest of %s: %s" % (self.job, stream.name, os.strerror(error.errno or 0))
        channel.complain(reason, self.job)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, stream.fd, inheritable=False)
        os.close(null)
