"""Lines in, framed lines out."""

import json
import os

from clbalance.node.agent.limits import CONGESTED_BYTES, LINE_BYTES, READ_BYTES


class Lines:
    """Cuts what a descriptor delivers into lines; None stands for one that was longer than `limit`."""

    def __init__(self, fd: int, limit: int = LINE_BYTES) -> None:
        self.fd = fd
        self.limit = limit
        self.partial = bytearray()
        self.too_long = False
        self.closed = False

    def receive(self) -> "list[bytes | None]":
        """The lines that one read completes; `closed` is set at the end."""
        try:
            chunk = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        self.closed = not chunk
        return self.cut(chunk)

    def cut(self, chunk: bytes) -> "list[bytes | None]":
        *ended, rest = chunk.split(b"\n")
        lines = [self.complete(piece) for piece in ended]
        self.extend(rest)
        return lines

    def extend(self, piece: bytes) -> None:
        self.too_long = self.too_long or len(self.partial) + len(piece) > self.limit
        if self.too_long:
            self.partial.clear()
        else:
            self.partial += piece

    def complete(self, piece: bytes) -> "bytes | None":
        self.extend(piece)
        line = None if self.too_long else bytes(self.partial)
        self.partial.clear()
        self.too_long = False
        return line


class Channel:
    """The way to the client. Neither direction ever blocks, so a slow reader delays no job's end."""

    def __init__(self, nonce: str, in_fd: int, out_fd: int) -> None:
        os.set_blocking(in_fd, False)
        os.set_blocking(out_fd, False)
        self.requests = Lines(in_fd)
        self.out_fd = out_fd
        self.prefix = b"\x1eCLB1 " + os.fsencode(nonce) + b" "
        self.unsent = bytearray()
        self.broken = False

    @property
    def over(self) -> bool:
        return self.broken or self.requests.closed

    @property
    def congested(self) -> bool:
        return len(self.unsent) > CONGESTED_BYTES

    def say(self, ev: str, **facts: object) -> None:
        """Queue one event."""
        facts["ev"] = ev
        self.unsent += self.prefix + json.dumps(facts).encode("ascii") + b"\n"

    def complain(self, why: str, job: str = "") -> None:
        """Queue an `error`, of that job where it concerns one."""
        self.say("error", why=why, **({"job": job} if job else {}))

    def flush(self) -> None:
        """Write what the client takes now."""
        if not self.unsent:
            return
        try:
            with memoryview(self.unsent) as rest:
                written = os.write(self.out_fd, rest)
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            return
        del self.unsent[:written]
