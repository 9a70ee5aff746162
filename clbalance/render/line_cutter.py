"""A byte stream cut into lines, in bounded memory."""

LONGEST_BYTES = 64 * 1024
"""A longer line is handed on in pieces: nobody reads it as one, and 1,000 nodes may each hold one."""


class LineCutter:
    """One stream; holds back at most one unfinished line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Every line that `piece` completes, with its newline; pieces of overlong lines come without one."""
        head, newline, tail = piece.rpartition(b"\n")
        if not newline:
            self._rest += piece
            return self._overlong()
        whole = bytes(self._rest) + head
        self._rest = bytearray(tail)
        lines = [part for line in whole.split(b"\n") for part in _cut(line + b"\n")]
        return lines + self._overlong()

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
    """`line` in pieces of `LONGEST_BYTES` at most, never in the middle of a UTF-8 character."""
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
    # A character has three continuation bytes at most; more of them is no UTF-8, and is cut where it stands.
    for back in range(4):
        if line[at - back] & 0xC0 != 0x80:
            return at - back
    return at
