"""The passwd, group and shadow files that a lab's nodes see: the system's, plus the lab's users.

Homes lie in the lab, so that nobody's real start-up files are read; no password hash is copied.
"""

import grp
import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path

from clbalance.lab.spec import LabUser

_NO_SHELLS = ("nologin", "false")
_LAB_SHELL = "/bin/sh"


def current_user() -> pwd.struct_passwd | None:
    """Whose nodes these are; None where the uid has no name, as in some containers."""
    try:
        return pwd.getpwuid(os.getuid())
    except KeyError:
        return None


def has_login_shell(entry: pwd.struct_passwd) -> bool:
    """Whether ssh can run a command for this account."""
    return not entry.pw_shell.endswith(_NO_SHELLS)


def passwd_text(owner: pwd.struct_passwd, users: Sequence[LabUser], home_of: Callable[[str], Path]) -> str:
    """passwd(5) with `owner` and `users` at home in the lab."""
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
    """shadow(5) for these accounts: `*` is no password, and unlike `!` not a locked account, which sshd refuses."""
    return "".join(f"{line.partition(':')[0]}:*:19000:0:99999:7:::\n" for line in passwd.splitlines())
