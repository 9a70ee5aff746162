"""The fate of a claim (started or void) and the record of a job's end, on disk and in events."""

import binascii
import errno
import os

from clbalance.node.agent.fields import ENDS, RECORD, checked, is_key
from clbalance.node.agent.folder import write_all
from clbalance.node.agent.protocol import EXIT_BYTES, READ, WRITE_NEW, MisfitError, RefusedError
from clbalance.node.stdlib import dumps, loads, signal, suppress

MYPY = False
if MYPY:
    from typing import Any


def read_boot_id() -> str:
    """The kernel's random id of the current boot. `RefusedError` if it cannot be read."""
    folder = os.environ.get("CLBALANCE_PROCFS") or "/proc"
    try:
        with open(folder + "/sys/kernel/random/boot_id", "rb") as file:
            return file.read(64).decode("ascii", "replace").strip()
    except OSError as error:
        raise RefusedError("resources", "boot_id: %s" % os.strerror(error.errno or 0)) from None


def ensure_incarnation(home: int) -> str:
    """The node folder's incarnation, made if missing. Another incarnation means that the folder was wiped."""
    with suppress(FileNotFoundError):
        return read_incarnation(home)
    fresh = "birth.%d.tmp" % os.getpid()
    with suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=home)
    fd = os.open(fresh, WRITE_NEW, 0o600, dir_fd=home)
    try:
        write_all(fd, binascii.hexlify(os.urandom(16)))
        os.fsync(fd)  # a torn file after a crash would make the node unusable for this user
        os.fchmod(fd, 0o1644)  # the sticky bit keeps systemd-tmpfiles from ageing it
        with suppress(FileExistsError):
            os.link(fresh, "birth", src_dir_fd=home, dst_dir_fd=home)
    finally:
        os.close(fd)
        os.unlink(fresh, dir_fd=home)
    return read_incarnation(home)


def read_incarnation(home: int) -> str:
    fd = os.open("birth", READ, dir_fd=home)
    try:
        incarnation = os.read(fd, 64).decode("ascii", "replace")
    finally:
        os.close(fd)
    if not is_key(incarnation):
        raise RefusedError("node_dir", "`birth` in the node folder is damaged; remove that folder when no job runs")
    return incarnation


def decide_fate(folder: int, word: str) -> bool:
    """Decide a claim's fate; False if it was decided before. A symbolic link never appears without its content."""
    try:
        os.symlink("%s %s" % (word, read_boot_id()), "fate", dir_fd=folder)
    except FileExistsError:
        return False
    return True


def of_another_boot(folder: int) -> bool:
    """Whether the fate was decided in another boot of this node, so that the job's processes are gone."""
    try:
        parts = os.readlink("fate", dir_fd=folder).split(" ")
    except OSError:
        return False
    return len(parts) == 2 and parts[1] != read_boot_id()


def read_fate(folder: int) -> str:
    """`started`, `void`, or empty if it is open. A damaged one may have been either; it counts as started."""
    try:
        word = os.readlink("fate", dir_fd=folder).split(" ")[0]
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: no link
            raise
        return "started"
    return "void" if word == "void" else "started"


# The record of a job's end.


class Usage:
    """Resource usage of the reaped processes of a job, including their own reaped children."""

    def __init__(self) -> None:
        self.user_s = 0.0
        self.system_s = 0.0
        self.max_rss_bytes = 0

    def add(self, spent: "Any") -> None:
        self.user_s += spent.ru_utime
        self.system_s += spent.ru_stime
        self.max_rss_bytes = max(self.max_rss_bytes, spent.ru_maxrss * 1024)

    def to_fields(self) -> "dict[str, float]":
        return {
            "user_s": round(self.user_s, 6),
            "system_s": round(self.system_s, 6),
            "max_rss_bytes": self.max_rss_bytes,
        }


def natural_end(status: int) -> "dict[str, Any]":
    if os.WIFSIGNALED(status):
        return {"kind": "killed", "signal": os.WTERMSIG(status)}
    return {"kind": "exited", "rc": os.WEXITSTATUS(status)}


def unrecorded_end() -> "dict[str, Any]":
    """The record for a job whose supervisor died without writing one. Every agent writes the same."""
    end = {"kind": "killed", "signal": int(signal.SIGKILL)}
    warnings = ["the job's supervisor died, which killed the job"]
    return {"end": end, "seconds": 0.0, "usage": None, "warnings": warnings}


def keep_exit(folder: int, record: "dict[str, Any]") -> None:
    """Write the record of a job's end, atomically, in space reserved at its start. May raise `OSError`.

    The log of a slot is on disk before: with its end it says which tasks were started, also after a crash of the node.
    """
    with suppress(OSError):
        log = os.open("log", READ, dir_fd=folder)
        try:
            os.fsync(log)
        finally:
            os.close(log)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open("exit.tmp", flags, 0o600, dir_fd=folder)
    try:
        write_all(fd, dumps(record).encode("ascii").ljust(EXIT_BYTES - 1) + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename("exit.tmp", "exit", src_dir_fd=folder, dst_dir_fd=folder)


def read_exit(folder: int) -> "dict[str, Any] | None":
    """The record of a job's end on disk; None if it is missing or malformed."""
    try:
        fd = os.open("exit", READ, dir_fd=folder)
    except OSError:
        return None
    try:
        return parse_record(os.read(fd, EXIT_BYTES))
    except OSError:
        return None
    finally:
        os.close(fd)


def parse_record(content: bytes) -> "dict[str, Any] | None":
    try:
        raw = loads(content.decode("ascii"))
        record = checked(raw if isinstance(raw, dict) else {}, RECORD, "exit")
        end = dict(record["end"])
        checked(end, ENDS[end.pop("kind")], "end")
    except (ValueError, LookupError, TypeError, RecursionError, MisfitError):
        return None
    return record if all(isinstance(warning, str) for warning in record["warnings"]) else None
