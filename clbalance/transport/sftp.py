"""SFTP by paramiko over a link, which is the user's own ssh: `ssh -s HOST sftp` (docs/design/copy.md).

Only the protocol of SFTP is paramiko's. It makes no connection, and reads no configuration and no keys.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import paramiko

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
_LEAST_PREFETCHED_BYTES: Final = 32 << 10  # below, its thread costs more than it saves
_READ_BYTES: Final = 256 << 10


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
            return _Writer(file)

    def read(self, path: bytes) -> Iterator[bytes]:
        with _errors(), self._client.open(path, "rb") as file:
            size = file.stat().st_size or 0
            if size >= _LEAST_PREFETCHED_BYTES:
                file.prefetch(size)
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


class _Writer:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, content: bytes | memoryview) -> None:
        with _errors():
            self._file.write(bytes(content))

    def close(self) -> None:
        with _errors():
            self._file.close()


def _facts(found: paramiko.SFTPAttributes) -> SftpFacts:
    return SftpFacts(
        mode=found.st_mode or 0, size=found.st_size or 0, mtime_s=found.st_mtime or 0, uid=found.st_uid or 0
    )
