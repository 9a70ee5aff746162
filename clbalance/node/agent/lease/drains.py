"""Drain marks, which keep new jobs away, and proposals, which become permanent after a sweep of all nodes."""

import os
import stat
import time

from clbalance.node.agent.fields import DRAIN, is_key
from clbalance.node.agent.lease.files import Mark, mark_text, open_mark, parse_mark, put_mark, read_mark
from clbalance.node.agent.lease.users import user_name
from clbalance.node.agent.protocol import MARK_BYTES, READ, READ_BYTES, MisfitError, RefusedError
from clbalance.node.stdlib import suppress

MYPY = False
if MYPY:
    from typing import Any


# A proposal is the file `drain-<key>` beside `drain` (docs/design/drain.md). If the client dies, the proposal lapses by
# itself, and the marks before it were never touched.


def is_proposal_name(name: str) -> bool:
    return name.startswith("drain-") and is_key(name[len("drain-") :])


def put_drain(home: int, request: "dict[str, Any]") -> str:
    """Write the user's drain mark, in place of all permanent ones of this user. Its file name."""
    put_mark(home, "drain", drain_text(request, end_of(request)))
    for name in names_of_marks(home):
        if not is_proposed(home, name):
            remove(home, name)
    return "drain"


def put_proposal(home: int, request: "dict[str, Any]") -> str:
    """Write a proposal. It lapses by this node's clock unless it is made permanent. Its file name."""
    for name in names_of_marks(home):
        if has_lapsed(home, name, time.time()):
            remove(home, name)
    name = "drain-%s" % request["key"]
    put_mark(home, name, drain_text(request, time.time() + request["lasts_s"], asked_at=request["asked_at"]))
    return name


def make_permanent(home: int, request: "dict[str, Any]") -> str:
    """Make the proposal permanent. `RefusedError` if it lapsed: others may have ignored it. Its file name."""
    name = "drain-%s" % request["key"]
    if not is_proposed(home, name):
        raise RefusedError("void", "the proposal has ended")
    put_mark(home, name, drain_text(request, end_of(request)))
    return name


def end_of(request: "dict[str, Any]") -> "float | None":
    """When the mark will end, by this node's clock; None: never. `MisfitError` if that has passed already here."""
    now = time.time()
    until = request["until"] if request["lasts_s"] is None else now + request["lasts_s"]  # type: float | None
    if until is not None and until <= now:
        here = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
        raise MisfitError("%s: it would be over at once: this node's clock says %s" % (request["op"], here))
    return until


def remove_marks(home: int, key: str) -> bool:
    """Remove the mark with that key; without a key, all permanent and lapsed ones. Whether there was one."""
    if key:
        return remove(home, "drain-" + key)
    names = ["drain"] + [name for name in names_of_marks(home) if not is_proposed(home, name)]
    return sum(remove(home, name) for name in names) > 0


def drain_text(request: "dict[str, Any]", until: "float | None", **more: object) -> bytes:
    facts = {"v": 1, "reason": request["reason"], "by": request["by"], "at": time.time(), "until": until}
    facts.update(more)
    mark = mark_text(facts)
    if len(mark) > MARK_BYTES:
        raise MisfitError("%s: a mark of more than %d bytes; make `reason` shorter" % (request["op"], MARK_BYTES))
    return mark


def names_of_marks(home: int) -> "list[str]":
    with os.scandir("/proc/self/fd/%d" % home) as entries:  # 3.6 cannot list a descriptor
        return [entry.name for entry in entries if is_proposal_name(entry.name)]


def is_proposed(home: int, name: str) -> bool:
    """Whether that mark exists and is a proposal that has not lapsed."""
    fields = read_proposal(home, name)
    return fields is not None and fields["asked_at"] is not None and time.time() < (fields["until"] or 0)


def has_lapsed(home: int, name: str, now: float) -> bool:
    fields = read_proposal(home, name)
    return fields is not None and fields["until"] is not None and fields["until"] <= now


def read_proposal(home: int, name: str) -> "dict[str, Any] | None":
    try:
        fd = os.open(name, READ, dir_fd=home)
    except OSError:
        return None
    try:
        return parse_mark(read_mark(fd), DRAIN)
    finally:
        os.close(fd)


def remove(home: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=home)
        return True
    return False


class Drain:
    """A drain mark that applies to this user. Without `fields` it could not be read, and applies all the same."""

    def __init__(self, uid: int, fields: "dict[str, Any] | None") -> None:
        self.uid = uid
        self.fields = fields

    def binds(self, now: float) -> bool:
        return self.fields is None or self.fields["until"] is None or now < self.fields["until"]

    def is_liftable(self, admins: "set[str]") -> bool:
        """Whether this user may set it aside: it is his own, or he may drain for everybody."""
        me = os.geteuid()
        return me in (0, self.uid) or (bool(admins) and user_name(me) in admins)

    def refusal(self) -> RefusedError:
        fields = self.fields or {"reason": "unreadable", "by": "", "until": None, "asked_at": None}
        owner = user_name(self.uid)
        by = owner if fields["by"] in ("", owner) else "%s as %s" % (fields["by"][:40], owner)
        until = "" if fields["until"] is None else ", for another %.0f s" % (fields["until"] - time.time())
        what = "" if fields["asked_at"] is None else "proposed: "
        return RefusedError("drained", "%s%s (by %s%s)" % (what, fields["reason"][:200], by, until))


def refuse_if_drained(marks: "list[Mark]", force: bool) -> None:
    """Refuse a job if one of the marks applies to this user. `force`: those that this user may set aside do not."""
    admins = read_admins()
    for mark in marks:
        drain = read_drain(mark, admins)
        is_lifted = drain is not None and force and drain.is_liftable(admins)
        if drain is not None and not is_lifted and drain.binds(time.time()):
            raise drain.refusal()


def read_drain(mark: Mark, admins: "set[str]") -> "Drain | None":
    """The mark, if its owner may keep our jobs away: root, a listed administrator, or this user; else None."""
    if mark.uid not in (0, os.geteuid()) and not (admins and user_name(mark.uid) in admins):
        return None
    try:
        fd = open_mark(mark)
    except PermissionError:
        return Drain(mark.uid, None)
    if fd is None:
        return None
    try:
        return Drain(mark.uid, parse_mark(read_mark(fd), DRAIN))
    finally:
        os.close(fd)


def read_admins() -> "set[str]":
    """The users whose drain marks apply to everyone: one name a line, in a file of root (in the lab, our own)."""
    try:
        fd = os.open(os.environb.get(b"CLBALANCE_ADMINS") or b"/etc/clbalance/admins", READ & ~os.O_NOFOLLOW)
    except OSError:
        return set()
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o022:
            return set()
        if facts.st_size > READ_BYTES:  # then the probe does not read it either
            return set()
        lines = os.read(fd, READ_BYTES).decode("utf-8-sig", "replace").split("\n")
    finally:
        os.close(fd)
    return {line.strip() for line in lines if line.strip()}
