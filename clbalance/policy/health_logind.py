"""Whether a node ends a user's processes when he logs out: his jobs, too. Pure."""

from collections.abc import Iterator
from typing import assert_never

from clbalance.checkup import Finding, Logind, note, wrong
from clbalance.model import Unknown

_CHECK = "logind"
_ALLOW = "`KillUserProcesses=no` in /etc/systemd/logind.conf there, as root"


def logind_findings(found: Logind | Unknown | None) -> Iterator[Finding]:
    """`KillUserProcesses` ends what is in the session; lingering keeps what runs under the user's own systemd."""
    match found:
        case None | Logind(kills_user_processes=False):
            pass
        case Unknown(why=why) | Logind(kills_user_processes=Unknown(why=why)):
            see = "`ssh {node} systemd-analyze cat-config systemd/logind.conf` shows `KillUserProcesses`"
            yield note(_CHECK, f"whether jobs outlive a logout is unknown: {why}", see)
        case Logind(lingers=True):
            what = "logind ends what a login leaves (KillUserProcesses=yes), but not what runs under your own systemd"
            yield note(_CHECK, what, _ALLOW)
        case Logind():
            what = "logind ends the jobs of who logs out (KillUserProcesses=yes, and you do not linger)"
            yield wrong(_CHECK, what, f"`ssh {{node}} loginctl enable-linger`, or {_ALLOW}")
        case _:
            assert_never(found)
