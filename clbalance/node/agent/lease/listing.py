"""The leases and drain marks of all users, by their names. No file is opened here.

Users can fill their homes with any number of files. So they are listed before the node's lock is taken; under it,
`Look.again` lists again only what may have changed and is short (docs/design/leases.md, "Many entries").
"""

import itertools
import os

from clbalance.node.agent.lease.files import Mark, is_mark_name
from clbalance.node.agent.lease.homes import Home, Homes
from clbalance.node.agent.lease.users import shown_user
from clbalance.node.agent.protocol import (
    DRAINS_OF_ONE,
    FILES_OF_ALL,
    FILES_OF_ONE,
    FILES_RELISTED,
    LEASES_OF_ONE,
    RefusedError,
    shown,
)

MYPY = False
if MYPY:
    from clbalance.node.agent.lease.locks import PosixLocks


class Files:
    """The marks in the homes of one user. At most `most` files are looked at, and one more: then there are too many.

    `closed`: homes that we may not list.
    """

    def __init__(self, homes: "list[Home]", most: int) -> None:
        self.most = most
        self.count = 0
        self.closed: "list[Home]" = []
        self.drains: "list[Mark]" = []
        self.leases: "list[Mark]" = []
        for home in homes:
            try:
                fd = home.open()
            except PermissionError:
                self.closed.append(home)
                continue
            if fd is not None:
                try:
                    self.add(home, fd)
                finally:
                    os.close(fd)

    @property
    def too_many(self) -> bool:
        return self.count > self.most

    @property
    def identities(self) -> "set[tuple[bytes, str, int]]":
        return {mark.identity for mark in self.drains + self.leases}

    def add(self, home: Home, fd: int) -> None:
        drains: "list[Mark]" = []
        with os.scandir("/proc/self/fd/%d" % fd) as entries:  # 3.6 cannot list a descriptor
            for entry in itertools.islice(entries, self.most + 1 - self.count):
                self.count += 1
                if is_mark_name(entry.name) and entry.is_file(follow_symlinks=False):
                    mark = Mark(home.path, home.uid, entry.name, entry.inode())
                    (drains if mark.is_drain else self.leases).append(mark)
        self.drains += sorted(drains, key=lambda mark: mark.name)[:DRAINS_OF_ONE]


class Look:
    """The marks of all users, listed without the lock. `RefusedError` if users have filled the folders.

    `marks` are to be read. The leases of a user in `crowds` are not all counted, for the reason given there, and so he
    counts as the whole node. A user in `large` has so many files that no lease is granted in his homes, and they are
    not listed under the lock. A user in `closed` has a home that we may not list.
    """

    def __init__(self, base: bytes) -> None:
        self.homes = Homes.find(base)
        self.marks: "list[Mark]" = []
        self.listed: "set[tuple[bytes, str, int]]" = set()
        self.crowds: "dict[int, str]" = {}
        self.large: "set[int]" = set()
        self.closed: "set[int]" = set()
        self.read_locks: "PosixLocks | None" = None
        found = self.list_files()
        for uid, files in found.items():
            self.take(uid, files)

    @property
    def locks(self) -> "PosixLocks":
        """Read after all homes were listed: each listed lease was locked before it was there to be listed."""
        if self.read_locks is None:
            from clbalance.node.agent.lease.locks import PosixLocks

            self.read_locks = PosixLocks()
        return self.read_locks

    def list_files(self) -> "dict[int, Files]":
        found: "dict[int, Files]" = {}
        count = 0
        for uid, homes in self.homes.by_owner.items():
            files = found[uid] = Files(homes, FILES_OF_ONE)
            if files.too_many:
                what = (shown_user(uid), FILES_OF_ONE, shown(homes[0].path))
                raise RefusedError("node_dir", "%s has more than %d files in %s" % what)
            count += files.count
            if count > FILES_OF_ALL:
                most = shown_user(max(found, key=lambda uid: found[uid].count))
                reason = "the users' folders have more than %d files, most of them of %s" % (FILES_OF_ALL, most)
                raise RefusedError("node_dir", reason)
        return found

    def take(self, uid: int, files: Files) -> None:
        if files.closed:
            self.closed.add(uid)
            device = os.lstat(os.path.dirname(files.closed[0].path)).st_dev
            if uid == 0 or self.locks.may_be_of(uid, device):  # root's may have a drain mark
                self.crowds[uid] = "a folder that others cannot read"
        if files.count > FILES_RELISTED:
            self.large.add(uid)
        else:
            self.listed |= files.identities
        self.marks += files.drains + self.chosen(uid, files.leases)

    def check_own(self) -> None:
        """Refuse a lease in a home that is too full to be listed under the lock: others would not see it."""
        uid = os.geteuid()
        if uid in self.large:
            path = shown(self.homes.by_owner[uid][0].path)
            hint = "remove what does not belong there; `clbalance reap` removes what jobs have left"
            raise RefusedError("node_dir", "your folder %s has more than %d files: %s" % (path, FILES_RELISTED, hint))

    def chosen(self, uid: int, leases: "list[Mark]") -> "list[Mark]":
        """The leases of one user that are read. If there are too many files, those that seem held come first."""
        if len(leases) <= LEASES_OF_ONE:
            return leases
        held = [mark for mark in leases if self.may_be_locked(mark)]
        # Where locks may be hidden, each file is tested.
        most = LEASES_OF_ONE if self.locks.all_told else FILES_RELISTED
        if len(held) > LEASES_OF_ONE or (len(leases) > most and not self.locks.all_told):
            self.crowds[uid] = "more than %d leases" % LEASES_OF_ONE
            return []
        return sorted(leases, key=lambda mark: not self.may_be_locked(mark))[:most]

    def may_be_locked(self, mark: Mark) -> bool:
        """Whether a process locks the file, by /proc/locks: for files that we do not or may not open."""
        return self.locks.may_hold(mark.inode)

    def again(self) -> "list[Mark] | None":
        """Those of `marks` that are still there, under the lock. None if there are new ones or too many to list now."""
        homes = self.homes.again()
        if homes is None:
            return None
        there: "set[tuple[bytes, str, int]]" = set()
        for uid, owned in homes.by_owner.items():
            files = Files(owned, FILES_RELISTED)
            if files.too_many != (uid in self.large) or (files.closed and uid not in self.closed):
                return None
            if not files.too_many:
                if not files.identities <= self.listed:
                    return None
                there |= files.identities
        return [mark for mark in self.marks if mark.uid in self.large or mark.identity in there]

    def restless(self) -> "RefusedError | None":
        """The refusal after many looks, if a folder is too full to be listed again as often as it changes."""
        for listing in self.homes.listings:
            if listing.is_large:
                what = "%s changes all the time, and has too many entries to be listed as often, most of them of %s"
                return RefusedError("node_dir", what % (shown(listing.folder), listing.filler()))
        return None
