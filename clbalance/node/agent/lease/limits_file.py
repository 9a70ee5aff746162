"""The file of limits on this node: whether it may be trusted, and what it means for a job.

A file that may not be trusted, or is wrong, lets no job in: else its limits would be lost without a word.
"""

import errno
import os
import stat

from clbalance.node.agent.lease.capacity import LackError, Measured, Wish
from clbalance.node.agent.lease.files import Lease
from clbalance.node.agent.lease.limits import (
    Held,
    Limit,
    LimitsError,
    excess,
    limits_for,
    parse_limits,
    shares_in,
)
from clbalance.node.agent.protocol import FOLDER, READ, READ_BYTES, RefusedError, shown

MYPY = False
if MYPY:
    from typing import Iterable

OTHERS_WRITE = 0o022


class NodeLimits:
    """The limits of the node that apply to this user. Looks up names, so it is not to be made under the lock."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.members: "dict[int, set[str]]" = {}
        try:
            limits = parse_limits(read_limits(path))
            self.groups = {one.named_group: gid_of(one) for one in limits if one.named_group}
            me = os.geteuid()
            user = name_of(me) if any(one.user or one.group for one in limits) else ""
            self.limits = limits_for(limits, {str(me), user}, self.groups_of(me))
        except LimitsError as error:
            raise RefusedError(
                "limits", "%s: %s; no job is admitted until root mends it" % (shown(path), error)
            ) from None

    def groups_of(self, uid: int) -> "set[str]":
        """The groups in the file that a user is a member of. One without a name may be in any of them."""
        if uid not in self.members and self.groups:
            import pwd

            try:
                entry = pwd.getpwuid(uid)
                gids = set(os.getgrouplist(entry.pw_name, entry.pw_gid))
                self.members[uid] = {name for name, gid in self.groups.items() if gid in gids}
            except KeyError:
                self.members[uid] = set(self.groups)
        return self.members.get(uid, set())

    def learn(self, leases: "Iterable[Lease | None]") -> None:
        """Look up the groups of the leases' owners, if they matter."""
        if any(limit.group for limit in self.limits):
            for lease in leases:
                if lease is not None:
                    self.groups_of(lease.uid)

    def check(self, wish: Wish, leases: "list[Lease]", node: Measured) -> None:
        """A `LackError` at the first limit that keeps the job out. Reads nothing: it is called under the lock."""
        asked = asked_by(wish, node)
        running = [held_by(lease) for lease in leases if lease.fields is not None]
        for limit in self.limits:
            me = asked.uid
            held = [one for one in running if (limit.group in self.members[one.uid] if limit.group else one.uid == me)]
            reason = excess(limit, asked, held)
            if reason:
                where = "%s, line %d" % (shown(self.path), limit.line)
                raise LackError("limits", "%s (%s)" % (reason, where), shares_in(limit, held))

    def over_sets(self) -> "list[dict[str, object]]":
        """The limits over node sets that apply to this user. The client counts them before it starts the job."""
        said = [(one, "%s=%s of %s" % (one.name, one.text, one.whose)) for one in self.limits if one.nodes]
        where = shown(self.path)
        return [
            {
                "nodes": one.nodes,
                "name": one.name,
                "most": one.most,
                "said": text,
                "where": "%s, line %d" % (where, one.line),
            }
            for one, text in said
        ]


def asked_by(wish: Wish, node: Measured) -> Held:
    """What the job would hold. An exclusive one holds all cpus and memory of the node, whatever its client says."""
    cpus, mem_bytes = wish.cpus, wish.mem_bytes
    if wish.exclusive:
        cpus, mem_bytes = max(cpus, node.cpus), max(mem_bytes, node.mem_total)
    return Held(os.geteuid(), wish.name, cpus, wish.gpu_count * wish.gpu_share, mem_bytes, wish.time_limit_s)


def held_by(lease: Lease) -> Held:
    fields = lease.fields or {}
    return Held(
        lease.uid, fields["name"], fields["cpus"], len(fields["gpus"]) * fields["gpu_share"], fields["mem_bytes"]
    )


def name_of(uid: int) -> str:
    """`LimitsError` if it has none: then its own limits cannot be told, and it is let in by nobody's mistake."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise LimitsError("uid %d has no name on this node, so its limits are not known" % uid) from None


def gid_of(limit: Limit) -> int:
    """Of the group that it names, by name or by number."""
    import grp

    group = limit.named_group
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):  # ValueError: letters that are none in this locale
        if not group.strip("0123456789"):
            return int(group)
        raise LimitsError("line %d: there is no group %.40r on this node" % (limit.line, group)) from None


def read_limits(path: bytes) -> str:
    """The text of the file. `LimitsError` unless it is a regular file of root's, that nobody else can write, without a
    link in its path. In the lab, it may be our own.
    """
    *folders, name = path.split(b"/")[1:]
    at = os.open("/", FOLDER | os.O_PATH)
    try:
        for folder in folders:
            at, above = os.open(folder, FOLDER | os.O_PATH, dir_fd=at), at
            os.close(above)
            check_owner(os.fstat(at), "its folder %s" % shown(folder))
        return content_of(at, name)
    except OSError as error:
        is_link = error.errno in (errno.ELOOP, errno.ENOTDIR)
        raise LimitsError("it must be reached without links" if is_link else os.strerror(error.errno or 0)) from None
    except UnicodeDecodeError:
        raise LimitsError("it is not UTF-8") from None
    finally:
        os.close(at)


def content_of(folder: int, name: bytes) -> str:
    fd = os.open(name, READ, dir_fd=folder)
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise LimitsError("it is not a regular file")
        check_owner(facts, "it")
        if facts.st_size > READ_BYTES:
            raise LimitsError("it is larger than %d KiB" % (READ_BYTES >> 10))
        return os.read(fd, READ_BYTES).decode()
    finally:
        os.close(fd)


def check_owner(facts: "os.stat_result", what: str) -> None:
    """A sticky folder such as /tmp may be writable: others cannot replace what is not theirs."""
    owners = (0, os.geteuid()) if "CLBALANCE_LIMITS" in os.environ else (0,)
    is_sticky = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX
    if facts.st_uid not in owners:
        raise LimitsError("%s belongs to uid %d, not to root" % (what, facts.st_uid))
    if facts.st_mode & OTHERS_WRITE and not is_sticky:
        raise LimitsError("others than root may write to %s" % what)
