"""Finds and removes leftovers of this user on the node (docs/design/reap.md)."""

import itertools
import os
import re
import stat
import time

from clbalance.node.agent.fields import is_job_name
from clbalance.node.agent.job.outcome import decide_fate, read_boot_id, read_fate
from clbalance.node.agent.job.settle import supervisor_of
from clbalance.node.agent.lease.drains import has_lapsed, is_proposal_name
from clbalance.node.agent.lease.locks import is_locked
from clbalance.node.agent.leftovers import Clearing, OwnHome, find_orphans, is_flocked, kill_orphans
from clbalance.node.agent.protocol import (
    HALF_S,
    OPEN_CLAIM_S,
    READ,
    REAP_LISTED,
    REAP_S,
    REAPED_BYTES,
    RefusedError,
    shown,
)
from clbalance.node.agent.tree import read_processes
from clbalance.node.stdlib import dumps

MYPY = False
if MYPY:
    from typing import Any, Iterator

LEASE_NAME = re.compile(r"lease-([0-9a-f]{32}\.[1-9][0-9]{0,5})")
HALF_NAME = re.compile(r"new-.*|(?:drain(?:-[0-9a-f]{32})?|birth)\.([0-9]{1,9})\.tmp")
TOMBSTONE = frozenset(["fate", "exit"])


class Reaping:
    """The work for one answer. Entries are taken in the order of their names; the next answer goes on after `last`."""

    def __init__(self, homes: "list[OwnHome]", keep_s: float, apply: bool, keep: "frozenset[str]") -> None:
        self.homes = homes
        self.keep_s = keep_s
        self.apply = apply
        self.keep = keep
        self.now = time.time()
        self.until = time.monotonic() + REAP_S
        self.boot_id = read_boot_id()
        self.found: "list[dict[str, Any]]" = []
        self.found_bytes = 0

    def after(self, last: str) -> "dict[str, Any]":
        """Leftovers after the entry `last`, removed with `apply`. `more`: there are further entries."""
        if not last:
            self.end_orphans()
        done = last
        entries = self.entries(last)
        for label, home, name in entries:
            if done != last and (self.found_bytes >= REAPED_BYTES or time.monotonic() > self.until):
                return {"found": self.found, "last": done, "more": True}
            if not self.take(home, name):
                return {"found": self.found, "last": done, "more": True}
            done = label
        return {"found": self.found, "last": done, "more": len(entries) == REAP_LISTED}

    def entries(self, last: str) -> "list[tuple[str, OwnHome, str]]":
        """The first `REAP_LISTED` entries after `last`, sorted: label, home, name in that home."""
        import heapq

        listed = (
            ("%s/%s" % (shown(home.path), name), home, name) for home in self.homes for name in home_entries(home)
        )
        return heapq.nsmallest(REAP_LISTED, (entry for entry in listed if entry[0] > last), key=lambda entry: entry[0])

    def tell(self, kind: str, name: str, size: int = 0, pids: "tuple[int, ...]" = (), reason: str = "") -> None:
        """Add a finding. `reason`: why it could not be removed."""
        found = {"kind": kind, "name": name, "bytes": size, "pids": list(pids), "why": reason}
        self.found.append(found)
        self.found_bytes += len(dumps(found))

    def take(self, home: OwnHome, name: str) -> bool:
        """Look at one entry and remove it if it is a leftover. False if there was no time for all of it."""
        try:
            if name.startswith("jobs/"):
                return self.take_job(home, name[len("jobs/") :])
            if LEASE_NAME.fullmatch(name):
                self.take_file("lease", home, name)
            elif HALF_NAME.fullmatch(name):
                self.take_half(home, name)
            elif is_proposal_name(name) and has_lapsed(home.fd, name, self.now):
                self.take_file("half", home, name)
        except FileNotFoundError:
            return True  # another agent was quicker
        except (OSError, RefusedError) as error:
            self.tell("trouble", shown(os.fsencode(name)), reason=str(getattr(error, "strerror", None) or error))
        return True

    # Processes

    def end_orphans(self) -> None:
        """Kill orphans before the removal of the files by which they are recognised."""
        for (home, job), pids in sorted(find_orphans(self.homes, read_processes()).items(), key=lambda one: one[0][1]):
            left = kill_orphans(self.homes, home, job) if self.apply else set()
            self.tell("processes", job, pids=tuple(sorted(pids)[:16]), reason="could not be killed" if left else "")

    # Files in a home

    def take_half(self, home: OwnHome, name: str) -> None:
        """Remove a file that was never completed, if it is old and its writer is gone."""
        facts = os.stat(name, dir_fd=home.fd, follow_symlinks=False)
        maker = HALF_NAME.fullmatch(name)
        pid = maker and maker.group(1)
        if self.now - facts.st_mtime > HALF_S and not (pid and os.path.exists("/proc/" + pid)):
            self.take_file("half", home, name)

    def take_file(self, kind: str, home: OwnHome, name: str) -> None:
        """Remove a regular file of ours that nobody has locked."""
        facts = os.stat(name, dir_fd=home.fd, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            return
        fd = os.open(name, READ, dir_fd=home.fd)
        try:
            if is_locked(fd):
                return
        finally:
            os.close(fd)
        if self.apply:
            os.unlink(name, dir_fd=home.fd)
        self.tell(kind, shown(os.fsencode(name)), facts.st_size)

    # Jobs

    def take_job(self, home: OwnHome, job: str) -> bool:
        """Clear the folder of a job that ended long enough ago. A tombstone of this boot stays."""
        is_wanted = job.split(".", maxsplit=1)[0] in self.keep  # by the key: all claims of the job
        folder = home.open_job(job) if not is_wanted else None
        if folder is None:
            return True
        try:
            fate = read_fate(folder)  # before the locks: it is made under them
            if supervisor_of(home.fd, job) is not None or is_flocked(folder):
                return True
            age_s = self.now - last_touched(folder)
            if age_s < max(self.keep_s, 0 if fate else OPEN_CLAIM_S):
                return True
            if not fate and self.apply:
                decide_fate(folder, "void")  # as `settle` does: a delayed start is refused
            return self.clear_job(home, job, folder, "job" if fate else "claim")
        finally:
            os.close(folder)

    def clear_job(self, home: OwnHome, job: str, folder: int, kind: str) -> bool:
        is_old = kind == "job" and self.is_of_another_boot(folder)
        clearing = Clearing(self.until, self.apply)
        reason = ""
        try:
            clearing.clear(folder, frozenset() if is_old else TOMBSTONE)
            if is_old and clearing.whole and self.apply:
                os.rmdir(job, dir_fd=home.jobs)
        except OSError as error:
            reason = error.strerror or "it cannot be removed"
        if clearing.count or is_old or reason or kind == "claim":
            self.tell("boot" if is_old else kind, job, clearing.size, reason=reason)
        return clearing.whole or not self.apply

    def is_of_another_boot(self, folder: int) -> bool:
        """Whether its fate was decided in another boot; only the fate file says so."""
        try:
            words = os.readlink("fate", dir_fd=folder).split(" ")
        except OSError:
            return False
        return len(words) == 2 and words[0] in ("started", "void") and words[1] != self.boot_id


def home_entries(home: OwnHome) -> "Iterator[str]":
    """The entries of a home that may be leftovers: files, and `jobs/<job>`. Other names, however many, are skipped."""
    for name in names_in(home.fd):
        if LEASE_NAME.fullmatch(name) or HALF_NAME.fullmatch(name) or is_proposal_name(name):
            yield name
    for name in names_in(home.jobs) if home.jobs >= 0 else ():
        if is_job_name(name):
            yield "jobs/" + name


def names_in(folder: int) -> "Iterator[str]":
    with os.scandir("/proc/self/fd/%d" % folder) as entries:  # 3.6 cannot list a descriptor
        for entry in entries:
            yield entry.name


def last_touched(folder: int) -> float:
    """The time of the last change in a job's folder, by the node's clock."""
    times = [os.fstat(folder).st_mtime]
    names = itertools.islice(names_in(folder), REAP_LISTED)
    times += [os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime for name in names]
    return max(times)
