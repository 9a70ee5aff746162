"""What is wrong on the host that clbalance is called on, from what was seen there. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from clbalance.checkup import Finding, note, wrong

_OPENSSH = re.compile(r"OpenSSH_[0-9]")
_SHOWN_GROUPS = 10


def ssh_findings(version: str | None) -> Iterator[Finding]:
    """`version` is what `ssh -V` says; None: there is no such program, empty: it does not run."""
    if version is None:
        yield wrong("ssh", "`ssh` is not on the PATH", "install OpenSSH's client (`openssh-client`)")
    elif not version:
        yield wrong("ssh", "`ssh -V` does not run", "`type -a ssh` shows which program that is")
    elif not _OPENSSH.match(version):
        what = f"`ssh` is not OpenSSH's ({version[:60]}): nodes will answer, but failures are not told apart"
        yield note("ssh", what, "put OpenSSH's client (`openssh-client`) first on the PATH")


def open_files_findings(sessions: int, fanout: int) -> Iterator[Finding]:
    """`sessions` fit into the hard limit on open files; what does not fit waits for its turn."""
    if sessions < fanout:
        what = f"the limit on open files leaves room for {sessions} sessions at once, and the fanout is {fanout}"
        yield note("open_files", what, "`ulimit -Hn` shows it; raise `nofile` in /etc/security/limits.conf, as root")


def group_findings(empty: Sequence[str], unusable: Mapping[str, str]) -> Iterator[Finding]:
    """Groups that name no node, and why others cannot be used."""
    for group, why in unusable.items():
        yield wrong("groups", f"group `{group}` cannot be used: {why}", f"`nodeset -f @{group}` shows what it says")
    if empty:
        more = f" and {len(empty) - _SHOWN_GROUPS} more" if len(empty) > _SHOWN_GROUPS else ""
        what = f"groups that name no node: {', '.join(empty[:_SHOWN_GROUPS])}{more}"
        yield note("groups", what, "`nodeset -ll` shows all groups with their nodes")
