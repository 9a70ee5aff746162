"""What became of a job: looked up, or said once and for all (docs/design/jobs.md)."""

import contextlib
import os

from clbalance.node.agent.fate import born, of_another_boot, read_birth, read_boot_id, read_fate, seal
from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.limits import FOLDER, READ
from clbalance.node.agent.locks import promiser_of
from clbalance.node.agent.marks import all_homes
from clbalance.node.agent.record import keep_exit, read_exit, unwitnessed_end
from clbalance.node.agent.tree import kill_carriers
from clbalance.node.agent.words import MisfitError, RefusedError, shown

MYPY = False
if MYPY:
    from typing import Any

REBOOTED = {"state": "gone", "why": "the node was booted again"}
WIPED = {"state": "gone", "why": "the node folder was wiped"}


class Inquiry:
    """A question after a job that was admitted in a boot and a folder of these names.

    With `void`, what has not started never shall.
    """

    def __init__(self, jobs: JobsFolder, name: str, boot_id: str, birth: str, void: bool) -> None:
        self.jobs = jobs
        self.name = name
        self.boot_id = boot_id
        self.birth = birth
        self.void = void

    def answer(self) -> "dict[str, Any]":
        """`state` with `why`, and `record` where it has ended."""
        held = supervisor_of(self.jobs.home_fd, self.name) is not None  # before the folder, which is made before it
        try:
            folder = self.jobs.open(self.name)
        except FileNotFoundError:
            if held:  # the job has removed its folder
                return {"state": "running"}
            absent = self.answer_without_folder()
            if absent["state"] == "gone" or not self.void:
                return absent
            self.jobs.claim_if_absent(self.name)
            folder = self.jobs.open(self.name)
        try:
            return self.answer_in(folder)
        finally:
            os.close(folder)

    def answer_without_folder(self) -> "dict[str, Any]":
        if self.boot_id != read_boot_id():
            return REBOOTED
        if self.birth != read_birth(self.jobs.home_fd):
            home = where_born(os.path.dirname(self.jobs.home), self.birth)
            if home is not None:
                raise MisfitError("settle: %s is kept in `%s`, not among this user's jobs" % (self.name, shown(home)))
            kill_carriers(self.name)
            return WIPED
        return {"state": "absent"}

    def answer_in(self, folder: int) -> "dict[str, Any]":
        """What is on disk is true after a reboot, too. The lock is asked for after the fate, which is made under it."""
        record = read_exit(folder)
        if record is not None:
            return {"state": "ended", "record": record}
        same_boot = self.boot_id == read_boot_id()
        if self.void and same_boot:
            seal(folder, "void")
        fate = read_fate(folder)
        if fate == "void":
            return {"state": "void"}
        if not same_boot:
            return REBOOTED
        if not fate:
            return {"state": "claimed"}
        if supervisor_of(self.jobs.home_fd, self.name) is not None:
            return {"state": "running"}
        return {"state": "ended", "record": bury(self.jobs, self.name)}


def where_born(base: bytes, birth: str) -> "bytes | None":
    """The home with that birth, which so was not wiped: another user's, or one that is not taken for ours any more."""
    for home in all_homes(base):
        with contextlib.suppress(OSError, RefusedError):  # what cannot be read as one is none
            fd = os.open(home, FOLDER)
            try:
                if born(fd) == birth:
                    return home
            finally:
                os.close(fd)
    return None


def supervisor_of(home: int, name: str) -> "int | None":
    """The pid of a job's supervisor, if it lives: it holds its lease's lock from before its start to after its end."""
    try:
        fd = os.open("lease-" + name, READ, dir_fd=home)
    except FileNotFoundError:
        return None
    try:
        return promiser_of(fd)
    finally:
        os.close(fd)


def bury(jobs: JobsFolder, name: str) -> "dict[str, Any]":
    """The end of a started job that has no supervisor any more. If that left none, speak for it: kill what is left."""
    try:
        folder = jobs.open(name)
    except FileNotFoundError:
        kill_carriers(name)
        return unwitnessed_end()
    try:
        return read_exit(folder) or bury_in(folder, name)
    finally:
        os.close(folder)


def bury_in(folder: int, name: str) -> "dict[str, Any]":
    kill_carriers(name)
    record = unwitnessed_end()
    if of_another_boot(folder):  # who settles it is told that it is gone, and an answer that is final stays
        return record
    try:
        keep_exit(folder, record)
    except OSError as error:
        record["warnings"].append("the record of the end was not kept: %s" % os.strerror(error.errno or 0))
    return read_exit(folder) or record  # another may have been quicker
