"""The homes of all users on the node: folders `clbalance-<uid>` and `clbalance-<uid>-1` … `-9` that belong to that uid.

Users can fill the folders they lie in with any number of entries. So these are listed before the node's lock is taken;
under it, they are listed again only if they have changed and are short (docs/design/leases.md, "Many entries").
"""

import itertools
import os
import stat
import time

from clbalance.node.agent.lease.files import raise_unless_gone
from clbalance.node.agent.lease.users import shown_user
from clbalance.node.agent.protocol import (
    FOLDER,
    HOMES,
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
from clbalance.node.stdlib import suppress


def uid_in(name: bytes) -> "int | None":
    """The uid in the name of a home, `clbalance-<uid>` or `clbalance-<uid>-<1…9>`; None if it is no such name."""
    uid, dash, number = name[len(b"clbalance-") :].partition(b"-")
    if not uid.isdigit() or len(uid) > 10 or (uid[:1] == b"0" and len(uid) > 1):
        return None
    return int(uid) if not dash or (len(number) == 1 and number in b"123456789") else None


class Home:
    """A home by its path and the uid in its name."""

    __slots__ = ("path", "uid")

    def __init__(self, path: bytes, uid: int) -> None:
        self.path = path
        self.uid = uid

    def open(self) -> "int | None":
        """A descriptor; None if it is a link, gone or not that user's. `PermissionError` if it is closed to us."""
        try:
            fd = os.open(self.path, FOLDER)
        except OSError as error:
            raise_unless_gone(error)
            return None
        if os.fstat(fd).st_uid == self.uid:
            return fd
        os.close(fd)
        return None


class Listing:
    """The homes in one folder. Beyond `entries` or `squats` it is not complete, and `excess` says so.

    `squatters`: by owner, the number of folders with the names of other users' homes.
    """

    def __init__(self, folder: bytes, changed_at: int, entries: int = LISTED, squats: int = SQUATS) -> None:
        self.folder = folder
        self.changed_at = changed_at
        self.homes: "list[Home]" = []
        self.size = 0
        self.squats = 0
        self.squatters: "dict[int, int]" = {}
        self.excess = ""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    self.size += 1
                    if entry.name.startswith(b"clbalance-"):
                        self.take(fd, entry)
                    if self.size > entries:
                        self.excess = "more than %d entries" % entries
                    elif self.squats > squats:
                        self.excess = "more than %d folders with the names of other users' folders" % squats
                    elif len(self.homes) > HOMES:
                        self.excess = "the folders of more than %d users" % HOMES
                    if self.excess:
                        break
        finally:
            os.close(fd)

    def take(self, fd: int, entry: "os.DirEntry[bytes]") -> None:
        uid = uid_in(entry.name)
        if uid is None or not entry.is_dir(follow_symlinks=False):
            return
        owner = owner_of(fd, entry.name)
        if owner == uid:
            self.homes.append(Home(self.folder + b"/" + entry.name, uid))
        elif owner >= 0:
            self.squats += 1
            self.squatters[owner] = self.squatters.get(owner, 0) + 1

    def check(self) -> None:
        """Refuse a job if not all homes are known."""
        if self.excess:
            owner = "" if len(self.homes) > HOMES else ", most of them of %s" % self.filler()
            raise RefusedError("node_dir", "%s has %s%s" % (shown(self.folder), self.excess, owner))

    def filler(self) -> str:
        """The owner of most squatted names if these are too many, else of most of the first entries."""
        if self.squats > SQUATS or (self.squats > SQUATS_RELISTED and self.size <= RELISTED):
            return shown_user(max(self.squatters, key=self.squatters.__getitem__))
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(self.folder) as entries:
                owners = [owner_of(fd, entry.name) for entry in itertools.islice(entries, OWNERS_ASKED)]
        finally:
            os.close(fd)
        return shown_user(max(set(owners), key=owners.count))

    @property
    def is_large(self) -> bool:
        """Takes too long to be listed under the lock."""
        return self.size > RELISTED or self.squats > SQUATS_RELISTED

    def again(self) -> "Listing | None":
        """The folder as it is now, under the lock; None if it has changed and is large."""
        if os.stat(self.folder).st_ctime_ns == self.changed_at:
            return self
        if self.is_large:
            return None
        now = Listing(self.folder, self.changed_at, RELISTED, SQUATS_RELISTED)
        return None if now.excess else now


def last_change(folder: bytes) -> int:
    """The time (ns) of the last change of its entries. Each later change has another time: that may be waited for.

    -1 if it goes on changing.
    """
    for pause_s in (STILL_S, 0):
        changed_at = os.stat(folder).st_ctime_ns
        tick_s = STILL_S if changed_at % 10**9 else 1 + STILL_S  # some file systems keep whole seconds
        if abs(time.time() - changed_at / 1e9) > tick_s:  # a time to come: the clock was set back
            return changed_at
        time.sleep(pause_s)
    return -1


def owner_of(folder: int, name: bytes) -> int:
    """The uid of an entry; -1 if it is gone. Quicker than the entry's own `stat`, which looks up the whole path."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid
    except FileNotFoundError:
        return -1


class Homes:
    """The homes of all users: in the node folder, and in /var/tmp, which was used before an administrator made one.

    Anyone may fill /var/tmp. So beside a prepared folder it is not listed: only the names of the users count who have
    a folder in the prepared one, and root's. `usual`: what they have there.
    """

    def __init__(self, listings: "list[Listing]", usual: "list[Home] | None") -> None:
        self.listings = listings
        self.usual = usual
        self.by_owner: "dict[int, list[Home]]" = {}
        for home in [home for listing in listings for home in listing.homes] + (usual or []):
            self.by_owner.setdefault(home.uid, []).append(home)

    @classmethod
    def find(cls, base: bytes) -> "Homes":
        was_another_used = base == MADE_BASE
        is_alone = was_another_used and is_prepared(base)
        folders = [base, USUAL_BASE] if was_another_used and not is_alone else [base]
        listings = [Listing(folder, last_change(folder)) for folder in folders]
        for listing in listings:
            listing.check()
        if not is_alone:
            return cls(listings, None)
        uids = sorted({0} | {home.uid for home in listings[0].homes})
        return cls(listings, [home for uid in uids for home in usual_homes(uid)])

    def again(self) -> "Homes | None":
        """The homes as they are now, under the lock; None if they cannot be found quickly."""
        listings = [listing.again() for listing in self.listings]
        known = [listing for listing in listings if listing is not None]
        if known != listings:
            return None
        now = Homes(known, self.usual)
        # Nobody has looked for a new user's homes in /var/tmp.
        return None if self.usual is not None and now.by_owner.keys() - self.by_owner.keys() else now


def usual_homes(uid: int) -> "list[Home]":
    """A user's homes in /var/tmp, found by their names."""
    homes = []
    for path in home_paths(USUAL_BASE, uid):
        with suppress(FileNotFoundError):
            facts = os.lstat(path)
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == uid:
                homes.append(Home(path, uid))
    return homes


def home_paths(folder: bytes, uid: int) -> "list[bytes]":
    """The names that a user's home can have; anyone may squat on some of them."""
    first = b"%s/clbalance-%d" % (folder, uid)
    return [first, *(b"%s-%d" % (first, number) for number in range(1, SQUATTED_NAMES))]
