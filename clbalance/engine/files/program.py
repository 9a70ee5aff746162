"""The client end of the file program on one node (docs/design/copy.md). Frames in both directions.

What comes from the node is checked: frames of nonsense, wrong lengths and endless data are a `LinkError` (GARBLED).
"""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from clbalance.engine.agent.bootstrap import bootstrap
from clbalance.engine.files import frames
from clbalance.engine.files.frames import GarbledError
from clbalance.engine.files.read_file import ReadFile
from clbalance.engine.files.values import FileError, NodeRefusedError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause
from clbalance.model.files import MOST_ENTRIES, Entry, os_bytes, unsafe_name
from clbalance.ports import Link, LinkError
from clbalance.random_hex import random_hex

_READ_BYTES: Final = 256 << 10
_SENT_AT_ONCE_BYTES: Final = 256 << 10
_MOST_NOISE_BYTES: Final = 1 << 20  # of a login profile
_ASKED_AT_ONCE: Final = 1000  # names; the answers must fit into what a link keeps
_MOST_PROBLEMS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What is at the destination."""

    exists: bool
    """Whether it is a folder that is there."""
    into: bool
    """Whether names are relative to the destination itself; otherwise to the folder that it is in."""
    name: str
    """Its last part, if not `into`."""
    reason: str = ""
    """Why a source cannot be opened."""


class FileProgram:
    """One conversation, in one thread. Nothing that a request changes is certain before `commit`."""

    def __init__(self, link: Link, source: str) -> None:
        self._link = link
        self._source = source
        self._received = bytearray()
        self._unsent = bytearray()
        self._problems: list[FileError] = []
        self.uid = -1
        """Whose login it is."""

    def greet(self) -> None:
        """Send the program, and wait for its hello. `LinkError`: cause PYTHON if there is no python3."""
        nonce = random_hex()
        try:
            self._link.send(bootstrap(nonce, self._source))
            self._skip_noise(frames.hello_mark(nonce))
        except LinkError as error:
            if error.cause is Cause.NO_SHELL:
                raise LinkError(Cause.PYTHON, error.reason) from error
            raise
        facts = frames.facts_in(self._expect(b"h"))
        if facts.get("protocol") != frames.PROTOCOL or not isinstance(facts.get("uid"), int):
            raise GarbledError("a hello of another protocol")
        self.uid = facts["uid"]

    def open(self, path: str, *, folder: bool = False, into_shared_folder: bool = False) -> Opened:
        """Look at the destination, which is relative to the home folder there. Nothing is made.

        Names of later requests are relative to it, or to the folder that it is in. `folder`: it must be a folder, or
        missing. `NodeRefusedError` if it is a file then, or where root does not write.
        """
        self._send(frames.ask(b"O", path=path, folder=folder, shared=into_shared_folder), now=True)
        return self._opened()

    def open_source(self, path: str) -> Opened:
        """Open a folder to read from it, or the folder of a file (then not `into`); links to it are followed."""
        self._send(frames.frame(b"S", os_bytes(path)), now=True)
        return self._opened()

    def make(self) -> Opened:
        """Make the destination, a missing folder, and open it."""
        self._send(frames.ask(b"N"), now=True)
        return self._opened()

    def _opened(self) -> Opened:
        facts = frames.facts_in(self._expect(b"o"))
        name = facts.get("name")
        if not isinstance(name, str):
            raise GarbledError("no name of what it opened")
        return Opened(
            exists=facts.get("exists") is True,
            into=facts.get("into") is True,
            name=name,
            reason=str(facts.get("reason", ""))[:1000],
        )

    def look(self, paths: Iterable[str], *, checksum: bool = False) -> Iterator[Entry | FileError | None]:
        """What is at each of these names, in this order; None: nothing. No link is followed. Empty: the folder."""
        for batch in frames.batches(paths, most=_ASKED_AT_ONCE):
            self._send(frames.frame(b"L", b"h" if checksum else b"-", frames.names(batch)), now=True)
            for path in batch:
                found, entry = self._entry(self._expect(b"i"))
                if found != path:
                    raise GarbledError("an answer about another file")
                yield entry

    def walk(self, path: str, *, checksum: bool = False, most: int = MOST_ENTRIES) -> Iterator[Entry | FileError]:
        """The file or folder at `path`, and all in it, each folder before what is in it. No link is followed.

        Names are relative to `path`, which itself has none. Nothing comes if nothing is there. `NodeRefusedError` if
        there is more.
        """
        self._send(frames.ask(b"W", path=path, checksum=checksum, most=most), now=True)
        for content in self._until_done(b"i", most):
            found, entry = self._entry(content)
            if found and (reason := unsafe_name(found)):
                raise GarbledError(f"a name that is refused: {reason}")
            if entry is not None:
                yield entry

    def glob(self, pattern: str, *, most: int = 10_000) -> tuple[str, ...]:
        """The names that match in the opened folder; `*` matches no `/`."""
        self._send(frames.ask(b"G", path=pattern, most=most), now=True)
        found = [frames.name_at(content)[0] for content in self._until_done(b"g", most)]
        for path in found:
            if reason := unsafe_name(path):
                raise GarbledError(f"a name that is refused: {reason}")
        return tuple(found)

    def read(self, paths: Iterable[str]) -> Iterator[ReadFile | FileError]:
        """The content of each regular file, in this order; take all pieces of one before the next."""
        for batch in frames.batches(paths, most=_ASKED_AT_ONCE):
            self._send(frames.frame(b"R", frames.names(batch)), now=True)
            for path in batch:
                letter, content = self._frame()
                if letter == b"x":
                    yield FileError(path, frames.reason_in(frames.name_at(content)[1]))
                elif letter == b"b":
                    mode, mtime_ns, size = frames.read_facts(content)
                    file = ReadFile(path, mode, mtime_ns, size, self._frame)
                    yield file
                    file.skip()
                else:
                    raise GarbledError("no content of a file")

    # -- changes, of which problems are told by `commit` -----------------------------------------------------------

    def make_folders(self, paths: Iterable[str]) -> None:
        """Make these folders, each after the one that it is in."""
        for batch in frames.batches(paths, most=_ASKED_AT_ONCE):
            self._send(frames.frame(b"M", frames.names(batch)))

    def delete(self, paths: Iterable[str]) -> None:
        """Remove these files, links and empty folders."""
        for batch in frames.batches(paths, most=_ASKED_AT_ONCE):
            self._send(frames.frame(b"X", frames.names(batch)))

    def set_attributes(self, path: str, entry: Entry) -> None:
        """Set mode and time of a file or folder that is there."""
        self._send(frames.frame(b"T", frames.file_facts(entry, path)))

    def send_whole(self, path: str, entry: Entry, checksum: bytes, content: bytes) -> None:
        """Send a small file."""
        self._send(frames.frame(b"F", frames.file_facts(entry, path), checksum, content))

    def begin(self, path: str, entry: Entry) -> None:
        """Send a file in pieces: `piece` for each, then `end` or `abort`."""
        self._send(frames.frame(b"B", frames.file_facts(entry, path)))

    def piece(self, content: bytes | memoryview) -> None:
        """The next piece of the file."""
        self._send(frames.HEAD.pack(b"D", len(content)))
        self._flush()
        self._link.send(content)
        self._take_problems()

    def end(self, checksum: bytes) -> None:
        """All of the file was sent."""
        self._send(frames.frame(b"E", checksum))

    def abort(self) -> None:
        """The file is not whole, and never will be: it is not kept."""
        self._send(frames.frame(b"A"))

    def commit(self) -> int:
        """Wait until all is on disk and in place; how many files were sent or removed since the last time."""
        self._send(frames.frame(b"C"), now=True)
        done = frames.facts_in(self._expect(b"c")).get("done")
        if not isinstance(done, int):
            raise GarbledError("no number of files")
        return done

    def problems(self) -> tuple[FileError, ...]:
        """What went wrong with single files, as far as it is known."""
        return tuple(self._problems)

    def has_problem(self, path: str) -> bool:
        """Whether the last problem is of this file: then sending more of it is no use."""
        return bool(self._problems) and self._problems[-1].path == path

    # -- frames ------------------------------------------------------------------------------------------------------

    def _send(self, data: bytes, *, now: bool = False) -> None:
        """Send it together with more; `now`: it is a question, whose answer is awaited next."""
        self._unsent += data
        if now:
            self._flush()
        elif len(self._unsent) >= _SENT_AT_ONCE_BYTES:
            self._flush()
            self._take_problems()

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, bytearray()
        self._link.send(memoryview(unsent))

    def _take_problems(self) -> None:
        """Take what the node tells meanwhile: it could not go on if nobody did."""
        while self._received or self._link.recv_ready():
            letter, content = self._next()
            if letter not in b".x":
                raise GarbledError("an answer to no question")
            self._take_aside(letter, content)

    def _until_done(self, letter: bytes, most: int) -> Iterator[bytes]:
        count = 0
        while True:
            came, content = self._frame()
            if came == b"k":
                if frames.facts_in(content).get("whole") is not True:
                    raise NodeRefusedError(f"there are more than {most:,} files and folders")
                return
            count += 1
            if came != letter or count > 2 * most + 1:  # an unreadable folder comes twice
                raise GarbledError("a list that does not end")
            yield content

    def _entry(self, content: bytes) -> tuple[str, Entry | FileError | None]:
        path, entry = frames.entry_in(content)
        return path, FileError(path, entry) if isinstance(entry, str) else entry

    def _expect(self, letter: bytes) -> bytes:
        while True:
            came, content = self._frame()
            if came == letter:
                return content
            if came != b"x":
                raise GarbledError("another answer than that to the question")
            self._take_aside(came, content)

    def _frame(self) -> tuple[bytes, bytes]:
        """The next frame that is no sign of life."""
        while (came := self._next())[0] == b".":
            pass
        return came

    def _next(self) -> tuple[bytes, bytes]:
        letter, length = frames.head_of(self._exactly(frames.HEAD.size))
        content = self._exactly(length)
        if letter == b"!":
            reason = frames.facts_in(content).get("reason")
            raise NodeRefusedError(str(reason)[:1000])
        return letter, content

    def _take_aside(self, letter: bytes, content: bytes) -> None:
        if letter == b"x":
            path, reason = frames.name_at(content)
            if len(self._problems) >= _MOST_PROBLEMS:
                raise NodeRefusedError(f"more than {_MOST_PROBLEMS:,} files failed: {self._problems[0].reason}")
            self._problems.append(FileError(path, frames.reason_in(reason)))

    def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            self._receive()
        taken = bytes(memoryview(self._received)[:count])
        del self._received[:count]
        return taken

    def _receive(self) -> None:
        data = self._link.recv(_READ_BYTES)
        if not data:
            raise LinkError(Cause.LOST, "the file program there has ended")
        self._received += data

    def _skip_noise(self, mark: bytes) -> None:
        while (at := self._received.find(mark)) < 0:
            if len(self._received) > _MOST_NOISE_BYTES:
                raise GarbledError("more than 1 MiB before its hello")
            self._receive()
        del self._received[: at + len(mark)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.__exit__(kind, error, trace)
