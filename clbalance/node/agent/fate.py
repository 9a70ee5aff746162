"""The fate of a claim, started or void: whoever says it first is right for ever (docs/design/jobs.md)."""

import binascii
import contextlib
import errno
import os
import re

from clbalance.node.agent.folder import write_all
from clbalance.node.agent.limits import READ, WRITE_NEW
from clbalance.node.agent.words import RefusedError


def read_boot_id() -> str:
    """Which boot of this node it is."""
    folder = os.environ.get("CLBALANCE_PROCFS") or "/proc"
    try:
        with open(folder + "/sys/kernel/random/boot_id", "rb") as file:
            return file.read(64).decode("ascii", "replace").strip()
    except OSError as error:
        raise RefusedError("resources", "boot_id: %s" % os.strerror(error.errno or 0)) from None


def read_birth(home: int) -> str:
    """The nonce of this node folder, made with it: who finds another one knows that the folder was wiped."""
    with contextlib.suppress(FileNotFoundError):
        return born(home)
    fresh = "birth.%d.tmp" % os.getpid()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=home)
    fd = os.open(fresh, WRITE_NEW, 0o600, dir_fd=home)
    try:
        write_all(fd, binascii.hexlify(os.urandom(16)))
        os.fsync(fd)  # half of it after a crash would close the node to its owner
        os.fchmod(fd, 0o1644)  # the sticky bit keeps systemd-tmpfiles from ageing it
        with contextlib.suppress(FileExistsError):
            os.link(fresh, "birth", src_dir_fd=home, dst_dir_fd=home)
    finally:
        os.close(fd)
        os.unlink(fresh, dir_fd=home)
    return born(home)


def born(home: int) -> str:
    fd = os.open("birth", READ, dir_fd=home)
    try:
        birth = os.read(fd, 64).decode("ascii", "replace")
    finally:
        os.close(fd)
    if not re.fullmatch("[0-9a-f]{32}", birth):
        raise RefusedError("node_dir", "`birth` in the node folder is damaged; remove that folder when no job runs")
    return birth


def seal(folder: int, word: str) -> bool:
    """Decide a claim's fate, if nobody has. A symbolic link appears with its content or not at all."""
    try:
        os.symlink("%s %s" % (word, read_boot_id()), "fate", dir_fd=folder)
    except FileExistsError:
        return False
    return True


def of_another_boot(folder: int) -> bool:
    """Whether a fate was decided before this node was booted: what was started then is gone, and that is its end."""
    try:
        told = os.readlink("fate", dir_fd=folder).split(" ")
    except OSError:
        return False
    return len(told) == 2 and told[1] != read_boot_id()


def read_fate(folder: int) -> str:
    """`started`, `void`, or nothing where it is open. What is damaged may have been either: it counts as started."""
    try:
        word = os.readlink("fate", dir_fd=folder).split(" ")[0]
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno != errno.EINVAL:  # no link
            raise
        return "started"
    return "void" if word == "void" else "started"
