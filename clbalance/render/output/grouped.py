"""`-b`: output of several nodes, folded under headings as `clush` prints it; and a stream cut into lines."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.output.spool import Spool, Spooled
from clbalance.render.output.streams import STREAMS, Outlet, Outlets, TerminalFilter
from clbalance.render.text import escape_line

# `-b`: keep output until all copies have ended, then show identical outputs under one heading, as `clush -b` does.
# The output is in the spool; memory also holds a digest of each stream.

_SEPARATOR = b"-" * 15


@dataclass(slots=True)
class _Stream(Spooled):
    """The output of one stream until now."""

    digest: "hashlib.blake2b" = field(default_factory=lambda: hashlib.blake2b(digest_size=32))
    last_byte: bytes = b""

    def identity(self) -> bytes:
        """A digest that is equal for equal streams; a missing last newline makes no difference."""
        digest = self.digest.copy()
        if self.last_byte != b"\n":
            digest.update(b"\n")
        return digest.digest()


class Gathered:
    """Shows output at `close`: larger groups first, equal sizes in the order of `nodes`; not copies without output."""

    def __init__(self, outlets: Outlets, nodes: Sequence[NodeName], fold: Callable[[Iterable[NodeName]], str]) -> None:
        self._outlets = outlets
        self._place = {node: place for place, node in enumerate(nodes)}
        self._fold = fold
        self._streams: dict[tuple[NodeName, str], _Stream] = {}
        self._spool = Spool("-b")

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        if not piece:
            return
        held = self._streams.setdefault((node, stream), _Stream())
        held.digest.update(piece)
        held.last_byte = piece[-1:]
        self._spool.append(held, piece)

    def end(self, node: NodeName) -> None:
        """Nothing: another node may still print the same output."""

    def close(self) -> None:
        with self._spool:
            for stream in STREAMS:
                for nodes in self._groups(stream):
                    self._show(self._outlets.of(stream), nodes, self._streams[nodes[0], stream])
            self._streams.clear()

    def _groups(self, stream: str) -> list[list[NodeName]]:
        alike: dict[bytes, list[NodeName]] = {}
        for node in sorted((node for node, of in self._streams if of == stream), key=self._order):
            alike.setdefault(self._streams[node, stream].identity(), []).append(node)
        return sorted(alike.values(), key=lambda nodes: (-len(nodes), self._order(nodes[0])))

    def _order(self, node: NodeName) -> tuple[int, str]:
        return self._place.get(node, len(self._place)), node

    def _show(self, outlet: Outlet, nodes: list[NodeName], held: _Stream) -> None:
        count = f" ({len(nodes)})" if len(nodes) > 1 else ""
        heading = (escape_line(self._fold(nodes)) + count).encode()
        outlet.send(b"\n".join((_SEPARATOR, heading, _SEPARATOR, b"")))
        safe = TerminalFilter() if outlet.terminal else None
        for block in self._spool.blocks(held):
            outlet.send(safe.feed(block) if safe else block)
        outlet.send((safe.finish() if safe else b"") + (b"" if held.last_byte == b"\n" else b"\n"))


# Cut a byte stream into lines, in bounded memory.

LONGEST_BYTES = 64 * 1024
"""A longer line is cut into pieces: 1,000 nodes may each have one in memory."""


class LineCutter:
    """Cuts one stream; it keeps at most one unfinished line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes, each with its newline, and pieces of overlong lines, without one."""
        head, newline, tail = piece.rpartition(b"\n")
        if not newline:
            self._rest += piece
            return self._overlong()
        whole = bytes(self._rest) + head
        self._rest = bytearray(tail)
        lines = [part for line in whole.split(b"\n") for part in _cut(line + b"\n")]
        return lines + self._overlong()

    @property
    def rest(self) -> bytes:
        """The unfinished line."""
        return bytes(self._rest)

    @property
    def pending_bytes(self) -> int:
        """The length of the unfinished line."""
        return len(self._rest)

    def forget(self, count: int) -> None:
        """Drop so many bytes from the beginning of the unfinished line."""
        del self._rest[:count]

    def finish(self) -> list[bytes]:
        """The last line, if the stream did not end with a newline."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []

    def _overlong(self) -> list[bytes]:
        if len(self._rest) <= LONGEST_BYTES:
            return []
        *pieces, last = _cut(bytes(self._rest))
        self._rest = bytearray(last)
        return pieces


def _cut(line: bytes) -> list[bytes]:
    """`line` in pieces of at most `LONGEST_BYTES`, never cut in the middle of a UTF-8 character."""
    if len(line) <= LONGEST_BYTES:
        return [line]
    pieces = []
    start = 0
    while len(line) - start > LONGEST_BYTES:
        end = _character_end(line, start + LONGEST_BYTES)
        pieces.append(line[start:end])
        start = end
    return [*pieces, line[start:]]


def _character_end(line: bytes, at: int) -> int:
    # A character has at most three continuation bytes; with more of them it is no UTF-8, and is cut anywhere.
    for back in range(4):
        if line[at - back] & 0xC0 != 0x80:
            return at - back
    return at
