"""Connections that outlive a call for a while (ssh's ControlMaster), so that the next call need not connect again.

The page docs/design/shared-connections.md says which calls share, and what may go wrong.
"""

import contextlib
import fcntl
import os
import re
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from zlib import crc32

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.transport.sharing.configuration import configuration_without_sharing

MOST_SESSIONS = 8
"""Over one connection: sshd allows 10 (MaxSessions), and other programs may use some."""
_LIFE_S = 600
"""For so long a connection takes new sessions; after that, it ends with its last one."""
_ANSWERS_WITHIN_S = 1.0
_MOST_PATH_BYTES = 90
"""A socket's path has at most 107 bytes; ssh makes it under a name that is 17 longer."""
_SAFE_PATH = re.compile(r"/[A-Za-z0-9._/+@=,-]*")  # neither ssh's `%` nor a blank, which its options would be split at


@dataclass(frozen=True, slots=True)
class SharedSession:
    """One session that may go over a shared connection. It ends with `SharedConnections.leave`."""

    path: Path
    options: tuple[str, ...]
    """Of ssh. The first session makes the connection, and leaves it behind."""
    place: int
    stands: bool
    """Whether the connection was there already."""

    def is_needed_by_others(self) -> bool:
        """Whether the connection stands now: others use it, or will."""
        return stands(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedConnections:
    """The connections of this user, this ssh and this configuration; sockets in `folder`, named as their nodes."""

    folder: Path
    keep_s: float
    """How long a connection stays without a session."""
    _taken: "TakenPlaces"

    def join(self, node: NodeName) -> SharedSession | None:
        """Have a session share the connection to `node`; None if enough do, or its socket cannot be named."""
        path = self.folder / node
        if len(os.fsencode(path)) > _MOST_PATH_BYTES or (place := self._free_place(path)) is None:
            return None
        options = ("-oControlMaster=auto", f"-oControlPath={path}", f"-oControlPersist={max(1, round(self.keep_s))}")
        return SharedSession(path, options, place, stands(path))

    def nodes(self) -> frozenset[NodeName]:
        """The nodes that have a socket. A process that died may have left it: that is found out by who uses it."""
        with contextlib.suppress(OSError):
            return frozenset(NodeName(path.name) for path in self.folder.iterdir())
        return frozenset()

    def leave(self, session: SharedSession) -> None:
        """Let another session have this one's place."""
        self._taken.give_back(session.place)

    def _free_place(self, path: Path) -> int | None:
        return next((place for place in places_of(path) if self._taken.take(place)), None)


class TakenPlaces:
    """A file of which each session locks one byte: so many sessions, of all processes, use a connection.

    One for each process: the kernel forgets a process's locks when it closes the file, wherever else it has it open.
    """

    def __init__(self, file: Path) -> None:
        self._lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._ours: set[int] = set()

    def take(self, place: int) -> bool:
        """False if a session of this process or of another one has it."""
        if place in self._ours or not _locked(self._lock, place):
            return False
        self._ours.add(place)
        return True

    def is_taken(self, place: int) -> bool:
        """Whether any process has it."""
        if not self.take(place):
            return True
        self.give_back(place)
        return False

    def give_back(self, place: int) -> None:
        """Let others have it."""
        self._ours.discard(place)
        with contextlib.suppress(OSError):
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, place)


@cache
def _taken_places(file: Path) -> TakenPlaces:
    return TakenPlaces(file)


def shared_connections(
    base: Path, *, keep_s: float | None, path: str, options: str, user: str
) -> SharedConnections | None:
    """The connections below `base`, a private folder.

    None if they are off (`keep_s`), the user's own ssh configuration shares connections or cannot be read whole, or
    there is no safe place for them: then each call connects anew.
    """
    if not keep_s or not _SAFE_PATH.fullmatch(str(base)):
        return None
    configuration = configuration_without_sharing(path, options)
    if configuration is None:
        return None
    # A changed configuration may lead to another host or user, and a new period to a new connection.
    key = "\0".join((path, options, user, configuration, str(int(time.time() / _LIFE_S))))
    folder = base / f"{crc32(key.encode('utf-8', 'surrogateescape')):08x}"  # hashlib would import OpenSSL
    try:
        _make_private(base)
        _remove_empty(base)
        _make_private(folder)
        return SharedConnections(folder=folder, keep_s=keep_s, _taken=_taken_places(lock_file(base)))
    except OSError:
        return None


def runtime_folder() -> Path:
    """Where the sockets of this user are: on a local disk, where sockets work and nobody else may look."""
    for runtime in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.geteuid()}"):
        if runtime.startswith("/") and _is_ours(runtime):
            return Path(runtime, "clbalance-ssh")
    return Path(tempfile.gettempdir(), f"clbalance-ssh-{os.geteuid()}")


def _is_ours(folder: str) -> bool:
    """Whether it is this user's folder.

    After `su` or `sudo`, the variable may name one of another user, who could put another folder in place of ours.
    """
    try:
        found = Path(folder).stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def lock_file(base: Path) -> Path:
    """The file whose locked bytes are sessions."""
    return base / "sessions"


def places_of(path: Path) -> range:
    """The bytes of the sessions over the connection whose socket is `path`. Two may share them: that is safe."""
    first = crc32(os.fsencode(path)) * MOST_SESSIONS
    return range(first, first + MOST_SESSIONS)


def sessions_over(path: Path) -> int:
    """How many sessions of clbalance, in all processes, go over that connection."""
    try:
        taken = _taken_places(lock_file(path.parent.parent))
    except OSError:
        return 0
    return sum(taken.is_taken(place) for place in places_of(path))


def stop_sharing(path: Path) -> bool:
    """Have a connection take no new session; it ends with its last one. False if it does not answer: left aside."""
    told = ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "stop", "--", path.name]
    try:
        done = subprocess.run(
            told, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWERS_WITHIN_S, check=False
        )
        answered = done.returncode == 0 or not stands(path)
    except (OSError, subprocess.TimeoutExpired):
        answered = False
    with contextlib.suppress(OSError):
        path.unlink()
    return answered


def standing(base: Path) -> Iterator[Path]:
    """The sockets of the connections that stand. A socket that a dead process has left is removed."""
    for path in sorted(base.glob("*/*")) if _is_private(base) else ():
        if stands(path):
            yield path


def stands(path: Path) -> bool:
    """Whether a process listens at the socket; if not, it is removed."""
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.setblocking(False)
            asked.connect(os.fspath(path))
    except BlockingIOError:
        return True  # its queue is full: it hangs, or is busy
    except ConnectionRefusedError:
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    except OSError:
        return False
    return True


def _locked(lock: int, place: int) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except OSError:
        return False
    return True


def _make_private(folder: Path) -> None:
    """`OSError` if others may look into the folder, or have made it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_private(folder):
        raise PermissionError(f"{folder} is not a private folder")


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077


def _remove_empty(base: Path) -> None:
    """Remove the folders of periods that are long over. (ssh ends where the folder of its socket is gone.)"""
    for entry in os.scandir(base):
        if entry.is_dir(follow_symlinks=False) and entry.stat().st_mtime < time.time() - 2 * _LIFE_S:
            with contextlib.suppress(OSError):  # it has sockets
                Path(entry).rmdir()
