"""The homes of all users on the node, and the leases and drain marks in them, by their names. No file is opened here.

Users can fill these folders with any number of entries. So they are listed before the node's lock is taken; under it,
`Look.again` lists again only what may have changed and is short (docs/design/leases.md, "Many entries").
"""

import itertools
import os
import re
import time

from clbalance.node.agent.lease.files import MARK_NAME, Mark, locked_inodes, raise_if_out_of_resources, user_name
from clbalance.node.agent.protocol import (
    DRAINS_OF_ONE,
    FILES_OF_ONE,
    FILES_RELISTED,
    FOLDER,
    HOMES,
    LEASES_OF_ONE,
    LISTED,
    MADE_BASE,
    OWNERS_ASKED,
    RELISTED,
    SQUATS,
    SQUATS_RELISTED,
    SQUATTED_NAMES,
    STILL_S,
    USUAL_BASE,
    RefusedError,
    is_prepared,
    shown,
)

# Homes: folders `clbalance-<uid>` and `clbalance-<uid>-1` … `-9` that belong to that uid.

HOME_NAME = re.compile(rb"clbalance-(0|[1-9][0-9]{0,9})(?:-[1-9])?")


class Home:
    """A home by its path and the uid in its name."""

    __slots__ = ("path", "uid")

    def __init__(self, path: bytes, uid: int) -> None:
        self.path = path
        self.uid = uid

    def open(self) -> "int | None":
        """A descriptor; None if it is a link, gone, closed to us or not that user's."""
        try:
            fd = os.open(self.path, FOLDER)
        except OSError as error:
            raise_if_out_of_resources(error)
            return None
        if os.fstat(fd).st_uid == self.uid:
            return fd
        os.close(fd)
        return None


class Listing:
    """The homes in one folder. `RefusedError` if it has too many entries."""

    def __init__(self, folder: bytes, changed_at: int) -> None:
        self.folder = folder
        self.changed_at = changed_at
        self.homes: "list[Home]" = []
        self.size = 0
        self.squats = 0  # folders with the name of another user's home
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self.size += 1
                    if entry.name.startswith(b"clbalance-"):
                        self.take(fd, entry)
                    if self.size > LISTED:
                        raise self.overflow(fd, "more than %d entries" % LISTED)
        finally:
            os.close(fd)

    def take(self, fd: int, entry: "os.DirEntry[bytes]") -> None:
        name = HOME_NAME.fullmatch(entry.name)
        if name is None or not entry.is_dir(follow_symlinks=False):
            return
        uid = int(name.group(1))
        if owner_of(fd, entry.name) == uid:
            self.homes.append(Home(self.folder + b"/" + entry.name, uid))
        else:
            self.squats += 1
        if self.squats > SQUATS:
            raise self.overflow(fd, "more than %d folders with the names of other users' folders" % SQUATS)
        if len(self.homes) > HOMES:
            raise RefusedError("node_dir", "%s has the folders of more than %d users" % (shown(self.folder), HOMES))

    def overflow(self, fd: int, what: str) -> RefusedError:
        return RefusedError("node_dir", "%s has %s, most of them of %s" % (shown(self.folder), what, self.filler(fd)))

    def filler(self, fd: int) -> str:
        """The owner of most entries, by the first ones that the kernel lists."""
        with os.scandir(self.folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, OWNERS_ASKED)]
        owners = [owner_of(fd, name) for name in names]
        return shown_user(max(set(owners), key=owners.count))

    @property
    def is_large(self) -> bool:
        """Takes too long to be listed under the lock."""
        return self.size > RELISTED or self.squats > SQUATS_RELISTED

    def again(self) -> "Listing | None":
        """The folder as it is now, under the lock; None if it has changed and is large."""
        if os.stat(self.folder).st_ctime_ns == self.changed_at:
            return self
        return None if self.is_large else Listing(self.folder, self.changed_at)


def last_change(folder: bytes) -> int:
    """The time (ns) of the last change of its entries. Each later change has another time: that may be waited for.

    -1 if it goes on changing.
    """
    for pause_s in (STILL_S, 0):
        changed_at = os.stat(folder).st_ctime_ns
        tick_s = STILL_S if changed_at % 10**9 else 1 + STILL_S  # some file systems keep whole seconds
        if time.time() - changed_at / 1e9 > tick_s:
            return changed_at
        time.sleep(pause_s)
    return -1


def owner_of(folder: int, name: bytes) -> int:
    """The uid of an entry; -1 if it is gone. Quicker than the entry's own `stat`, which looks up the whole path."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid
    except FileNotFoundError:
        return -1


def shown_user(uid: int) -> str:
    name = user_name(uid)
    return name if name == "uid %d" % uid else "%s (uid %d)" % (name, uid)


class Homes:
    """The homes of all users: in the node folder, and in /var/tmp, which was used before an administrator made one.

    Anyone may fill /var/tmp. So beside a prepared folder it is not listed: only the names of the users count who have
    a folder in the prepared one.
    """

    def __init__(self, listings: "list[Listing]", only_names: bool) -> None:
        self.listings = listings
        self.only_names = only_names
        self.by_owner: "dict[int, list[Home]]" = {}
        for home in [home for listing in listings for home in listing.homes]:
            self.by_owner.setdefault(home.uid, []).append(home)
        if only_names:
            for uid in self.by_owner:
                self.by_owner[uid] += [Home(path, uid) for path in home_paths(USUAL_BASE, uid)]

    @classmethod
    def find(cls, base: bytes) -> "Homes":
        was_another_used = base == MADE_BASE
        only_names = was_another_used and is_prepared(base)
        folders = [base, USUAL_BASE] if was_another_used and not only_names else [base]
        return cls([Listing(folder, last_change(folder)) for folder in folders], only_names)

    def again(self) -> "Homes | None":
        """The homes as they are now, under the lock; None if they cannot be found quickly."""
        listings = [listing.again() for listing in self.listings]
        known = [listing for listing in listings if listing is not None]
        return Homes(known, self.only_names) if known == listings else None


def home_paths(folder: bytes, uid: int) -> "list[bytes]":
    """The names that a user's home can have; anyone may squat on some of them."""
    first = b"%s/clbalance-%d" % (folder, uid)
    return [first, *(b"%s-%d" % (first, number) for number in range(1, SQUATTED_NAMES))]


# Marks: the files in homes with the name of a lease or a drain mark.


class Files:
    """The marks in the homes of one user. At most `most` files are looked at, and one more: then there are too many."""

    def __init__(self, homes: "list[Home]", most: int) -> None:
        self.most = most
        self.count = 0
        self.drains: "list[Mark]" = []
        self.leases: "list[Mark]" = []
        for home in homes:
            fd = home.open()
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
                if MARK_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    mark = Mark(home.path, home.uid, entry.name, entry.inode())
                    (drains if mark.is_drain else self.leases).append(mark)
        self.drains += sorted(drains, key=lambda mark: mark.name)[:DRAINS_OF_ONE]


class Look:
    """The marks of all users, listed without the lock. `RefusedError` if users have filled the folders.

    `marks` are to be read. A user in `crowds` holds more leases than are counted, and so counts as the whole node. A
    user in `large` has so many files that no lease is granted in his homes, and they are not listed under the lock.
    """

    def __init__(self, base: bytes) -> None:
        self.homes = Homes.find(base)
        self.marks: "list[Mark]" = []
        self.listed: "set[tuple[bytes, str, int]]" = set()
        self.crowds: "set[int]" = set()
        self.large: "set[int]" = set()
        self.locks: "set[int] | None" = None
        self.locks_are_read = False
        for uid, homes in self.homes.by_owner.items():
            self.add(uid, homes)

    def check_own(self) -> None:
        """Refuse a lease in a home that is too full to be listed under the lock: others would not see it."""
        uid = os.geteuid()
        if uid in self.large:
            path = shown(self.homes.by_owner[uid][0].path)
            hint = "remove what does not belong there; `clbalance reap` removes what jobs have left"
            raise RefusedError("node_dir", "your folder %s has more than %d files: %s" % (path, FILES_RELISTED, hint))

    def add(self, uid: int, homes: "list[Home]") -> None:
        files = Files(homes, FILES_OF_ONE)
        if files.too_many:
            what = (shown_user(uid), FILES_OF_ONE, shown(homes[0].path))
            raise RefusedError("node_dir", "%s has more than %d files in %s" % what)
        if files.count > FILES_RELISTED:
            self.large.add(uid)
        else:
            self.listed |= files.identities
        self.marks += files.drains + self.chosen(uid, files.leases)

    def chosen(self, uid: int, leases: "list[Mark]") -> "list[Mark]":
        """The leases of one user that are read. If there are too many files, those that seem held come first."""
        if len(leases) <= LEASES_OF_ONE:
            return leases
        held = [mark for mark in leases if self.may_be_locked(mark)]
        if len(held) > LEASES_OF_ONE:
            self.crowds.add(uid)
            return []
        return sorted(leases, key=lambda mark: not self.may_be_locked(mark))[:LEASES_OF_ONE]

    def may_be_locked(self, mark: Mark) -> bool:
        """Whether a process locks the file, by /proc/locks: for files that we do not or may not open."""
        if not self.locks_are_read:
            self.locks, self.locks_are_read = locked_inodes(), True
        return self.locks is None or mark.inode in self.locks

    def again(self) -> "list[Mark] | None":
        """Those of `marks` that are still there, under the lock. None if there are new ones or too many to list now."""
        homes = self.homes.again()
        if homes is None:
            return None
        there: "set[tuple[bytes, str, int]]" = set()
        for uid in homes.by_owner.keys() - self.large:
            files = Files(homes.by_owner[uid], FILES_RELISTED)
            if files.too_many or not files.identities <= self.listed:
                return None
            there |= files.identities
        return [mark for mark in self.marks if mark.uid in self.large or mark.identity in there]
