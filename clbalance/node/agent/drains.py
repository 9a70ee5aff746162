"""Drain marks: who takes no new work."""

import os
import stat
import time

from clbalance.node.agent.fields import DRAIN
from clbalance.node.agent.limits import READ, READ_BYTES
from clbalance.node.agent.locks import user_name
from clbalance.node.agent.marks import Mark, open_mark, parse_mark, read_mark
from clbalance.node.agent.words import RefusedError

MYPY = False
if MYPY:
    from typing import Any


class Drain:
    """A drain mark that binds us; without `told` it cannot be read, and binds all the same."""

    def __init__(self, uid: int, told: "dict[str, Any] | None") -> None:
        self.uid = uid
        self.told = told

    def binds(self, now: float) -> bool:
        return self.told is None or self.told["until"] is None or now < self.told["until"]

    def refusal(self) -> RefusedError:
        told = self.told or {"reason": "unreadable", "by": "", "until": None, "asked_at": None}
        owner = user_name(self.uid)
        by = owner if told["by"] in ("", owner) else "%s as %s" % (told["by"][:40], owner)
        until = "" if told["until"] is None else ", for another %.0f s" % (told["until"] - time.time())
        what = "" if told["asked_at"] is None else "proposed: "
        return RefusedError("drained", "%s%s (by %s%s)" % (what, told["reason"][:200], by, until))


def read_drain(mark: Mark, admins: "set[str]") -> "Drain | None":
    """The mark, if its owner may bind us: root, who is listed as administrator, and we ourselves."""
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
    """The users whose drain marks bind everyone: a name a line, in root's file, or in our own in the lab."""
    try:
        fd = os.open(os.environb.get(b"CLBALANCE_ADMINS") or b"/etc/clbalance/admins", READ & ~os.O_NOFOLLOW)
    except OSError:
        return set()
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o022:
            return set()
        lines = os.read(fd, READ_BYTES).decode("utf-8", "replace").split("\n")
    finally:
        os.close(fd)
    return {line.strip() for line in lines if line.strip()}
