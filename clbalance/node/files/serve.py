"""The file program: looks at files below one folder, writes and reads them, as its client asks, until it hangs up."""

import os
import sys

from clbalance.node.files.examine import Examiner
from clbalance.node.files.folders import Guard, Tree, absolute_path, make_folders, open_folder
from clbalance.node.files.frames import (
    CHECKSUM,
    NEW_FILE,
    Channel,
    FileProblemError,
    HopelessError,
    names_in,
    reason_of,
)
from clbalance.node.files.receive import Receiver
from clbalance.node.stdlib import loads, signal

MYPY = False
if MYPY:
    from typing import Any, Optional


class Conversation:
    """One client, one folder at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._path = b""
        self._guard = Guard(False)
        self._examiner = Examiner(channel, None)
        self._receiver: "Optional[Receiver]" = None

    def serve(self) -> None:
        """Answer frames until the client hangs up. What is not whole by then is removed."""
        try:
            while True:
                frame = self._channel.next()
                if frame is None:
                    return
                self._take(*frame)
        finally:
            if self._receiver is not None:
                self._receiver.close()

    def _take(self, letter: bytes, content: bytes) -> None:
        if letter in self.CHANGES:
            if self._receiver is None:
                raise HopelessError("no folder was opened")
            self.CHANGES[letter](self, self._receiver, content)
        elif letter in self.QUESTIONS:
            self.QUESTIONS[letter](self, content)
            self._channel.flush()
        else:
            raise HopelessError("an unknown request")

    def _open(self, content: bytes) -> None:
        """Open DEST if it is a folder, or must be one; otherwise the folder that it is in."""
        asked = loads(content.decode())
        self._path = path = absolute_path(os.fsencode(asked["path"]))
        self._guard = Guard(os.geteuid() == 0 and not asked["shared"])
        try:
            self._use(open_folder(path, self._guard))
            self._channel.tell(b"o", exists=True, into=True, name="")
            return
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = error
        if asked["folder"]:
            if os.path.lexists(path):
                raise missing
            self._examiner, self._receiver = Examiner(self._channel, None), None
            self._channel.tell(b"o", exists=False, into=True, name="")
            return
        above, name = os.path.split(path)
        try:
            self._use(open_folder(above, self._guard))
        except FileNotFoundError:
            raise HopelessError("there is no folder %s" % os.fsdecode(above))
        self._channel.tell(b"o", exists=False, into=False, name=os.fsdecode(name))

    def _open_source(self, content: bytes) -> None:
        """Open a folder that is read, or the folder of a file that is read, through links wherever they lead."""
        path = os.path.realpath(absolute_path(content))
        above, name = (path, b"") if os.path.isdir(path) else os.path.split(path)
        try:
            self._use(open_folder(above, Guard(False)))
            reason = ""
        except (OSError, FileProblemError) as error:
            self._examiner, self._receiver = Examiner(self._channel, None), None
            reason = reason_of(error)
        self._channel.tell(b"o", exists=not reason, into=not name, name=os.fsdecode(name), reason=reason)

    def _make(self, content: bytes) -> None:
        """Make DEST, which is missing, and open it."""
        make_folders(self._path, self._guard)
        self._use(open_folder(self._path, self._guard))
        self._channel.tell(b"o", exists=True, into=True, name="")

    def _use(self, root: int) -> None:
        self._guard.check(root)
        tree = Tree(root, self._guard)
        self._examiner = Examiner(self._channel, tree)
        self._receiver = Receiver(self._channel, tree)

    def _look(self, content: bytes) -> None:
        for path in names_in(content[1:]):
            self._examiner.look(path, content[:1] == b"h")

    def _walk(self, content: bytes) -> None:
        asked = loads(content.decode())
        whole = self._examiner.walk(os.fsencode(asked["path"]), asked["checksum"], asked["most"])
        self._channel.tell(b"k", whole=whole)

    def _glob(self, content: bytes) -> None:
        asked = loads(content.decode())
        self._channel.tell(b"k", whole=self._examiner.glob(os.fsencode(asked["path"]), asked["most"]))

    def _read(self, content: bytes) -> None:
        for path in names_in(content):
            self._examiner.read(path)

    def _commit(self, receiver: Receiver, content: bytes) -> None:
        receiver.commit()
        self._channel.tell(b"c", done=receiver.take_count())
        self._channel.flush()

    def _whole(self, receiver: Receiver, content: bytes) -> None:
        length, mode, mtime_ns, _ = NEW_FILE.unpack_from(content)
        at = NEW_FILE.size + length
        checksum, rest = content[at : at + CHECKSUM.size], memoryview(content)[at + CHECKSUM.size :]
        receiver.whole(content[NEW_FILE.size : at], mode, mtime_ns, checksum, rest)

    def _begin(self, receiver: Receiver, content: bytes) -> None:
        length, mode, mtime_ns, _ = NEW_FILE.unpack_from(content)
        receiver.begin(content[NEW_FILE.size : NEW_FILE.size + length], mode, mtime_ns)

    def _piece(self, receiver: Receiver, content: bytes) -> None:
        receiver.piece(content)

    def _end(self, receiver: Receiver, content: bytes) -> None:
        receiver.end(content)

    def _abort(self, receiver: Receiver, content: bytes) -> None:
        receiver.abort()

    def _folder(self, receiver: Receiver, content: bytes) -> None:
        for path in names_in(content):
            receiver.make_folder(path)

    def _delete(self, receiver: Receiver, content: bytes) -> None:
        for path in names_in(content):
            receiver.delete(path)

    def _attributes(self, receiver: Receiver, content: bytes) -> None:
        length, mode, mtime_ns, _ = NEW_FILE.unpack_from(content)
        receiver.set_attributes(content[NEW_FILE.size : NEW_FILE.size + length], mode, mtime_ns)

    QUESTIONS = {b"O": _open, b"S": _open_source, b"N": _make, b"L": _look, b"W": _walk, b"G": _glob, b"R": _read}
    CHANGES = {
        b"C": _commit,
        b"F": _whole,
        b"B": _begin,
        b"D": _piece,
        b"E": _end,
        b"A": _abort,
        b"M": _folder,
        b"X": _delete,
        b"T": _attributes,
    }


def main() -> int:
    def stop(*_: "Any") -> None:
        raise SystemExit(1)  # so that what is not whole is removed

    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
        signal.signal(one, stop)
    channel = Channel()
    channel.hello(sys.argv[1])
    try:
        Conversation(channel).serve()
    except BrokenPipeError:
        return 1
    except (HopelessError, FileProblemError, OSError, ImportError, ValueError, KeyError, TypeError) as error:
        channel.tell(b"!", reason=reason_of(error))
        channel.flush()
        return 1
    return 0
