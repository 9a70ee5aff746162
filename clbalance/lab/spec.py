"""The checked spec of a lab, and the passwd, group and shadow files of its nodes."""

import grp
import os
import pwd
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from clbalance.errors import UsageError
from clbalance.lab.namespaces import Isolation
from clbalance.lazy_dataclass import dataclass
from clbalance.nodeset import check_user_name

GIB = 2**30
MAX_NODES = 250  # one last octet of 127.x.y.z per node
SLURM_PARTITION = "batch"
_MAX_CPUS = 1024
_MAX_GPUS = 16
_FIRST_UID = 2001
_DEFAULT_SHELL = "/bin/sh"
_MAX_STARTUPS = re.compile(r"\d{1,4}(:\d{1,3}:\d{1,4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabUser:
    """A user who exists on the lab's nodes only."""

    name: str
    uid: int
    shell: str = _DEFAULT_SHELL


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSpec:
    """A lab of `nodes` equal nodes; the second half of them has GPUs."""

    nodes: int = 8
    cpus: int = 4
    mem_bytes: int = 16 * GIB
    swap_bytes: int = 2 * GIB
    gpus: int = 2
    users: tuple[LabUser, ...] = ()
    max_startups: str = "100:30:200"
    """As in sshd_config(5). The default allows a fan-out of 100; sshd's own default is 10:30:100."""
    isolation: Isolation | None = None
    """None: the best one that is allowed here."""
    tied: bool = False
    """Whether the nodes end when the process that brought them up ends, in any way."""
    slurm: bool = False
    """Whether the second half of the nodes are also nodes of a Slurm, whose controller runs on the first one."""
    gateways: int = 0
    """So many of the first nodes are gateways to the others, in the lab's `topology.conf`."""

    def __post_init__(self) -> None:
        _within("the number of nodes", self.nodes, 1, MAX_NODES)
        _within("the number of cpus", self.cpus, 1, _MAX_CPUS)
        _within("the number of GPUs", self.gpus, 0, _MAX_GPUS)
        _within("the number of gateways", self.gateways, 0, self.nodes - 1)
        _within("memory in bytes", self.mem_bytes, 2**20, 2**50)
        _within("swap in bytes", self.swap_bytes, 0, 2**50)
        if not _MAX_STARTUPS.fullmatch(self.max_startups):
            raise UsageError(
                f"{self.max_startups!r} is not a MaxStartups value", hint="like `10:30:100`; see `man sshd_config`"
            )
        _check_users(self.users)

    def node_names(self) -> tuple[str, ...]:
        """`node1` to `nodeN`."""
        return tuple(f"node{number}" for number in range(1, self.nodes + 1))

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Nodes by group: `cpu` and `rack1` the first half; `gpu-nodes`, `rack2` and, with Slurm, `batch` the rest."""
        names = self.node_names()
        half = len(names) // 2
        first, second = (names[:half], names[half:]) if half else (names, names)
        groups = {"all": names, "cpu": first, "gpu-nodes": second, "rack1": first, "rack2": second}
        return groups | ({SLURM_PARTITION: second} if self.slurm else {})


def _within(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UsageError(f"{what} is {value}", hint=f"from {least} to {most}")


def _check_users(users: tuple[LabUser, ...]) -> None:
    for user in users:
        check_user_name(user.name)
        _within(f"the uid of `{user.name}`", user.uid, 1, 2**31 - 2)
        if not Path(user.shell).is_absolute() or not Path(user.shell).exists():
            raise UsageError(f"there is no shell `{user.shell}` for user `{user.name}`", hint="a path from /etc/shells")
    if len({user.name for user in users}) < len(users) or len({user.uid for user in users}) < len(users):
        raise UsageError("two users have the same name or uid")


def parse_users(text: str) -> tuple[LabUser, ...]:
    """Parse users such as `alice,bob:/bin/csh`; each gets a uid."""
    users = []
    for number, part in enumerate(part for part in text.split(",") if part):
        name, _, shell = part.partition(":")
        users.append(LabUser(name=name, uid=_FIRST_UID + number, shell=shell or _DEFAULT_SHELL))
    return tuple(users)


def parse_isolation(text: str) -> Isolation | None:
    """Parse `namespaces` or `subreaper`, or raise `UsageError`. None for the empty string: choose the best."""
    if text and text not in set(Isolation):
        raise UsageError(f"{text!r} is not a kind of isolation", hint=" or ".join(f"`{kind}`" for kind in Isolation))
    return Isolation(text) if text else None


# The passwd, group and shadow files of the nodes: the system's, plus the lab's users.
#
# Homes lie in the lab, so that no real start-up files are read. No password hash is copied.

_NO_SHELLS = ("nologin", "false")
_LAB_SHELL = "/bin/sh"


def current_user() -> pwd.struct_passwd | None:
    """The account of the lab's owner; None if the uid has no name, as in some containers."""
    try:
        return pwd.getpwuid(os.getuid())
    except KeyError:
        return None


def has_login_shell(entry: pwd.struct_passwd) -> bool:
    """Whether ssh can run a command for this account."""
    return not entry.pw_shell.endswith(_NO_SHELLS)


def passwd_text(owner: pwd.struct_passwd, users: Sequence[LabUser], home_of: Callable[[str], Path]) -> str:
    """passwd(5), with homes of `owner` and `users` in the lab."""
    replaced = {owner.pw_name, *(user.name for user in users)}
    shell = owner.pw_shell if has_login_shell(owner) else _LAB_SHELL
    lines = [
        f"{owner.pw_name}:x:{owner.pw_uid}:{owner.pw_gid}:{owner.pw_gecos}:{home_of(owner.pw_name)}:{shell}",
        *(f"{user.name}:x:{user.uid}:{user.uid}::{home_of(user.name)}:{user.shell}" for user in users),
        *(
            f"{other.pw_name}:x:{other.pw_uid}:{other.pw_gid}:{other.pw_gecos}:{other.pw_dir}:{other.pw_shell}"
            for other in pwd.getpwall()
            if other.pw_name not in replaced
        ),
    ]
    return "\n".join(lines) + "\n"


def group_text(users: Sequence[LabUser]) -> str:
    """group(5), with a group of the same name and number for each user."""
    own = {user.name for user in users}
    lines = [
        *(f"{user.name}:x:{user.uid}:" for user in users),
        *(
            f"{group.gr_name}:x:{group.gr_gid}:{','.join(group.gr_mem)}"
            for group in grp.getgrall()
            if group.gr_name not in own
        ),
    ]
    return "\n".join(lines) + "\n"


def shadow_text(passwd: str) -> str:
    """shadow(5) for these accounts, with `*`: no password. `!` would lock the account, and sshd refuses locked ones."""
    return "".join(f"{line.partition(':')[0]}:*:19000:0:99999:7:::\n" for line in passwd.splitlines())
