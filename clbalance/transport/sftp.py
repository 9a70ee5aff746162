"""SFTP by paramiko over a link, which is the user's own ssh: `ssh -s HOST sftp` (docs/design/copy.md).

Only the protocol of SFTP is paramiko's. It makes no connection, and reads no configuration and no keys.
"""

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import paramiko
from paramiko import sftp as protocol

from clbalance.model import Cause
from clbalance.ports import Link, LinkError, Sftp, SftpFacts

_PROGRAMS: Final = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/libexec/ssh/sftp-server",
    "/usr/lib/sftp-server",
    "/usr/local/libexec/sftp-server",
)
_COMMAND: Final = (
    f"exec /bin/sh -c 'for one in {' '.join(_PROGRAMS)}; do test -x $one && exec $one; done;"
    " echo there is no sftp-server >&2; exit 127'"
)
_READ_BYTES: Final = 256 << 10
_REQUEST_BYTES: Final = 32 << 10  # that every server takes
_MOST_REQUEST_BYTES: Final = 255 << 10  # OpenSSH's limit; whatever a node says, we send no more
_BYTES_AHEAD: Final = 2 << 20  # asked for, and not here yet


class _Channel:
    """A link, as paramiko's client wants it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def send(self, data: bytes) -> int:
        self._link.send(data)
        return len(data)

    def recv(self, most: int) -> bytes:
        return self._link.recv(most)

    def recv_ready(self) -> bool:
        return self._link.recv_ready()

    def get_name(self) -> str:
        return str(self._link.node)

    def close(self) -> None:
        self._link.close()


def open_sftp(connect: Callable[..., Link]) -> Sftp:
    """SFTP over the subsystem, or over its program where sshd has none. `LinkError`."""
    try:
        return _opened(connect("sftp", subsystem=True))
    except LinkError as error:
        if error.cause not in {Cause.LOST, Cause.NO_SHELL, Cause.LOCAL}:
            raise
    return _opened(connect(_COMMAND))


def _opened(link: Link) -> "ParamikoSftp":
    try:
        return ParamikoSftp(link, paramiko.SFTPClient(cast("paramiko.Channel", _Channel(link))))
    except BaseException as error:
        link.__exit__(None, None, None)
        if isinstance(error, paramiko.SFTPError):
            raise LinkError(Cause.GARBLED, "its login writes text where SFTP begins") from error
        if isinstance(error, paramiko.SSHException):
            raise LinkError(Cause.LOST, "it ended before SFTP began") from error
        raise


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """paramiko's errors as `OSError` and `LinkError`."""
    try:
        yield
    except LinkError:
        raise
    except EOFError as error:
        raise LinkError(Cause.LOST, "SFTP has ended") from error
    except (paramiko.SFTPError, paramiko.SSHException) as error:
        raise LinkError(Cause.GARBLED, f"it sent no SFTP: {str(error)[:200]}") from error
    except OSError as error:
        if error.errno is None:  # SFTP has no code for a full disk and many others
            raise OSError(errno.EIO, f"it failed there: {str(error)[:200] or 'no reason was given'}") from error
        raise


class ParamikoSftp:
    """`ports.Sftp`."""

    def __init__(self, link: Link, client: paramiko.SFTPClient) -> None:
        self._link = link
        self._client = client
        with _errors():
            self._request_bytes = _largest_request(client)

    def home(self) -> bytes:
        with _errors():
            return os.fsencode(self._client.normalize("."))

    def facts(self, path: bytes, *, follow: bool = False) -> SftpFacts | None:
        with _errors():
            try:
                return _facts(self._client.stat(path) if follow else self._client.lstat(path))
            except FileNotFoundError:
                return None

    def names(self, path: bytes) -> list[tuple[bytes, SftpFacts]]:
        with _errors():
            return [(os.fsencode(one.filename), _facts(one)) for one in self._client.listdir_attr(cast("str", path))]

    def make_folder(self, path: bytes, *, mode: int) -> None:
        with _errors():
            self._client.mkdir(path, mode)

    def create(self, path: bytes) -> "_Writer":
        with _errors():
            file = self._client.open(path, "wx")
            file.set_pipelined(True)
            file.MAX_REQUEST_SIZE = self._request_bytes
            return _Writer(file)

    def read(self, path: bytes) -> Iterator[bytes]:
        with _errors(), self._client.open(path, "rb") as file:
            size = file.stat().st_size or 0
            file.MAX_REQUEST_SIZE = self._request_bytes
            taken = 0
            for piece in _Ahead(self._client, file.handle, self._request_bytes).pieces(size):
                taken += len(piece)
                yield piece
            file.seek(taken)  # what came short, or has grown
            while piece := file.read(_READ_BYTES):
                yield piece

    def set_facts(self, path: bytes, *, mode: int, mtime_s: int) -> None:
        with _errors():
            self._client.chmod(path, mode)
            self._client.utime(path, (mtime_s, mtime_s))

    def replace(self, path: bytes, new: bytes) -> None:
        with _errors():
            self._client.posix_rename(cast("str", path), cast("str", new))

    def remove(self, path: bytes, *, folder: bool = False) -> None:
        with _errors():
            if folder:
                self._client.rmdir(path)
            else:
                self._client.remove(path)

    def close(self) -> None:
        self._link.__exit__(None, None, None)


class _Ahead:
    """Requests for the pieces of a file, many at once. A link serves one thread; paramiko's prefetch adds one."""

    def __init__(self, client: Any, handle: Any, request_bytes: int) -> None:
        self._client = client
        self._handle = handle
        self._request_bytes = request_bytes
        self._early: dict[int, tuple[int, Any]] = {}

    def pieces(self, size: int) -> Iterator[bytes]:
        """The content, until it ends or a piece is shorter than asked for."""
        asked, waiting = 0, deque[tuple[int, int]]()
        while True:
            while asked < size and len(waiting) < _BYTES_AHEAD // self._request_bytes:
                length = min(self._request_bytes, size - asked)
                waiting.append((self._ask(asked, length), length))
                asked += length
            if not waiting:
                return
            number, length = waiting.popleft()
            piece = self._answer(number)
            if piece:
                yield piece
            if len(piece) != length:
                return

    def _ask(self, offset: int, length: int) -> int:
        request = (self._handle, protocol.int64(offset), length)
        return int(self._client._async_request(self, protocol.CMD_READ, *request))  # noqa: SLF001

    def _answer(self, number: int) -> bytes:
        try:
            early = self._early.pop(number, None)
            kind, message = early or self._client._read_response(number)  # noqa: SLF001
        except EOFError:  # the end of the file, or of the link: the next request tells
            return b""
        return bytes(message.get_string()) if kind == protocol.CMD_DATA else b""

    def _async_response(self, kind: int, message: Any, number: int) -> None:
        """paramiko calls it with an answer that came before its turn."""
        self._early[number] = kind, message


class _Writer:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, content: bytes | memoryview) -> None:
        with _errors():
            self._file.write(bytes(content))

    def close(self) -> None:
        with _errors():
            self._file.close()


def _largest_request(client: Any) -> int:
    """How much content the server takes in one request. Larger requests cost less processor time."""
    try:
        kind, limits = client._request(protocol.CMD_EXTENDED, "limits@openssh.com")  # noqa: SLF001  # paramiko has no call for it
    except OSError:  # the server does not know the question
        return _REQUEST_BYTES
    if kind != protocol.CMD_EXTENDED_REPLY:
        return _REQUEST_BYTES
    _, read, write = (int(limits.get_int64()) for _ in range(3))
    return max(_REQUEST_BYTES, min(read, write, _MOST_REQUEST_BYTES))


def _facts(found: paramiko.SFTPAttributes) -> SftpFacts:
    return SftpFacts(
        mode=found.st_mode or 0, size=found.st_size or 0, mtime_s=found.st_mtime or 0, uid=found.st_uid or 0
    )
