"""A file that arrives from the file program on a node, piece by piece."""

from collections.abc import Callable, Iterator

from clbalance.engine.files import frames
from clbalance.engine.files.frames import GarbledError
from clbalance.engine.files.values import FileError


class ReadFile:
    """A file that is arriving from a node: iterate over its pieces. `FileError` at the end if it is not whole.

    After the last piece, `checksum` is the node's: who writes the pieces compares it with what he wrote.
    """

    def __init__(
        self, path: str, mode: int, mtime_ns: int, size: int, frame: Callable[[], tuple[bytes, bytes]]
    ) -> None:
        self.path = path
        self.mode = mode
        self.mtime_ns = mtime_ns
        self.size = size
        self.checksum = b""
        self._frame = frame
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        left = self.size
        while not self._is_over:
            letter, content = self._frame()
            self._is_over = letter != b"d"
            match letter:
                case b"d" if len(content) <= left:
                    left -= len(content)
                    yield content
                case b"e":
                    if left:
                        raise FileError(self.path, "it arrived damaged")
                    self.checksum = content
                case b"x":
                    raise FileError(self.path, frames.reason_in(frames.name_at(content)[1]))
                case _:
                    raise GarbledError("more of a file than it has")

    def skip(self) -> None:
        """Take what is left of it."""
        try:
            for _ in self:
                pass
        except FileError:
            return
