"""A job's output, as fast as the client takes it."""

import base64
import os

from clbalance.node.agent.limits import CHUNK_BYTES, POLL_LONGEST_S, POLL_SHORTEST_S, READ
from clbalance.node.agent.wire import Channel
from clbalance.node.agent.words import MisfitError


class Stream:
    """One output file; `sent` and `acked` are offsets in it."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self.sent = 0
        self.acked = 0


def open_output(folder: int, name: str) -> int:
    """A job's output; nothing at all where the job has removed it."""
    try:
        return os.open(name, READ, dir_fd=folder)
    except FileNotFoundError:
        return os.open(os.devnull, READ)


class Follower:
    """Passes a job's output on from its start, never more than `window` bytes of a stream ahead of the client."""

    def __init__(self, folder: int, window: int) -> None:
        self.window = window
        self.streams = [Stream(name, open_output(folder, name)) for name in ("stdout", "stderr")]
        self.pause_s = POLL_SHORTEST_S
        self.due = 0.0
        self.drained = False

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

    def pump(self, channel: Channel, job: str, now: float) -> None:
        """One chunk of each stream that has one; `drained` tells that neither has more. Sets when to look again."""
        looked = [self.advance(stream, channel, job) for stream in self.streams]
        self.drained = looked == [0, 0]
        if any(looked):
            self.pause_s = POLL_SHORTEST_S
            self.due = now
        else:
            self.due = now + self.pause_s
            self.pause_s = min(self.pause_s * 1.5, POLL_LONGEST_S)

    def advance(self, stream: Stream, channel: Channel, job: str) -> "int | None":
        """How many bytes were passed on; None where the client must acknowledge first."""
        room = min(CHUNK_BYTES, stream.acked + self.window - stream.sent)
        if room <= 0:
            return None
        try:
            raw = os.pread(stream.fd, room, stream.sent)
        except OSError as error:
            self.give_up(stream, channel, job, error)
            return 0
        if raw:
            text = base64.b64encode(raw).decode("ascii")
            channel.say("output", job=job, stream=stream.name, offset=stream.sent, data=text)
            stream.sent += len(raw)
        return len(raw)

    def give_up(self, stream: Stream, channel: Channel, job: str, error: OSError) -> None:
        """Say once that the rest of a stream cannot be read, and read no more of it."""
        channel.say("error", why="%s: the rest of %s: %s" % (job, stream.name, os.strerror(error.errno or 0)))
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, stream.fd, inheritable=False)
        os.close(null)
