"""Files of leases and drain marks of all users."""

import errno
import os
import stat

from clbalance.node.agent.fields import DIGITS, LEASE, checked, is_key, is_made_of
from clbalance.node.agent.folder import write_all
from clbalance.node.agent.protocol import (
    FOLDER,
    KILL_AT_ADMISSION_S,
    MARK_BYTES,
    READ,
    WRITE_NEW,
    MisfitError,
)
from clbalance.node.stdlib import dumps, loads, suppress

MYPY = False
if MYPY:
    from typing import Any


# Leases and drain marks of all users.

IN_KEYS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


def is_mark_name(name: str) -> bool:
    """Whether it is `drain`, `drain-<key>` or `lease-<key>.<attempt>`."""
    if name.startswith("lease-"):
        key, _, attempt = name[len("lease-") :].rpartition(".")
        return is_made_of(key, IN_KEYS, 64) and is_made_of(attempt, DIGITS, 9)
    return name == "drain" or (name.startswith("drain-") and is_key(name[len("drain-") :]))


class Mark:
    """A file that may be a lease or a drain mark, by its name and inode in a home. Its content was not read."""

    __slots__ = ("home", "inode", "name", "uid")

    def __init__(self, home: bytes, uid: int, name: str, inode: int) -> None:
        self.home = home
        self.uid = uid
        self.name = name
        self.inode = inode

    @property
    def identity(self) -> "tuple[bytes, str, int]":
        return self.home, self.name, self.inode

    @property
    def is_drain(self) -> bool:
        return self.name.startswith("drain")


def mark_text(facts: "dict[str, Any]") -> bytes:
    return dumps(facts, ensure_ascii=False).encode("utf-8", "backslashreplace")


def put_mark(home: int, name: str, content: bytes) -> None:
    """Write a file that everyone may read, completely or not at all. Its sticky bit makes systemd-tmpfiles keep it."""
    fresh = "%s.%d.tmp" % (name, os.getpid())
    with suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=home)
    fd = os.open(fresh, WRITE_NEW, 0o600, dir_fd=home)
    try:
        write_all(fd, content)
        os.fchmod(fd, 0o1644)
        os.rename(fresh, name, src_dir_fd=home, dst_dir_fd=home)
    except OSError:
        os.unlink(fresh, dir_fd=home)
        raise
    finally:
        os.close(fd)


def raise_unless_gone(error: OSError) -> None:
    """Raise the error unless the file is gone, or no plain one: an unread lease would be promised a second time."""
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
        raise error


def open_mark(mark: Mark) -> "int | None":
    """Open a mark, if it is the listed file and belongs to the home's owner; None if it is not, or is gone.

    `PermissionError` if it belongs to the owner but we may not read it.
    """
    try:
        home = os.open(mark.home, FOLDER)
    except OSError as error:
        raise_unless_gone(error)
        return None
    try:
        facts = os.stat(mark.name, dir_fd=home, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != mark.uid:
            return None
        fd = os.open(mark.name, READ, dir_fd=home)
    except OSError as error:
        raise_unless_gone(error)
        return None
    finally:
        os.close(home)
    if os.path.samestat(facts, os.fstat(fd)):
        return fd
    os.close(fd)
    return None


def read_mark(fd: int) -> bytes:
    """The content of a mark, up to one byte more than is allowed; empty if it cannot be read."""
    try:
        return os.read(fd, MARK_BYTES + 1)
    except OSError:
        return b""


def parse_mark(content: bytes, fields: "dict[str, Any]") -> "dict[str, Any] | None":
    """The JSON object of a mark; None if it cannot be parsed. Unknown keys are left to later versions."""
    try:
        raw = loads(content.decode("utf-8")) if len(content) <= MARK_BYTES else None
        if not isinstance(raw, dict):
            return None
        read = checked({name: value for name, value in raw.items() if name in fields}, fields, "mark")
    except (ValueError, RecursionError, MisfitError):
        return None
    return read if read["v"] == 1 else None


class Lease:
    """A lease. Without `fields` its content is unknown, and it counts as the whole node; `flaw` says why.

    `fd` is used to test whether it is still held; without it, it counts as held.
    """

    def __init__(
        self,
        uid: int,
        fields: "dict[str, Any] | None",
        fd: "int | None" = None,
        flaw: str = "a lease that cannot be read",
    ) -> None:
        self.uid = uid
        self.fields = fields
        self.fd = fd
        self.flaw = flaw

    @property
    def holds(self) -> bool:
        if self.fd is None:
            return True
        from clbalance.node.agent.lease.locks import is_locked

        return is_locked(self.fd)


def parse_lease(content: bytes) -> "dict[str, Any] | None":
    fields = parse_mark(content, LEASE)
    if fields is None or not 0 < fields["gpu_share"] <= 1 or not all(isinstance(gpu, str) for gpu in fields["gpus"]):
        return None
    return fields


def remove_void(marks: "list[Mark]") -> None:
    """Remove leases of ours that nobody holds, after the processes of their jobs were killed."""
    if marks:
        from clbalance.node.agent.tree import kill_carriers

        kill_carriers(*(mark.name[len("lease-") :] for mark in marks), within_s=KILL_AT_ADMISSION_S)
    for mark in marks:
        with suppress(OSError):
            os.unlink(mark.home + b"/" + os.fsencode(mark.name))
