"""A node that did not answer: its cause, and what to type about it. Pure."""

from collections.abc import Mapping

from clbalance.checkup import Finding, wrong
from clbalance.model import Cause, Silent

_LOOK = "`ssh -v {node} true` shows how far it comes"
_KEY = "`ssh-keyscan {node} | ssh-keygen -lf -` shows its key: compare it with what its administrator says, then"

HINTS: Mapping[Cause, str] = {
    Cause.DNS: "`getent hosts {node}` should know it: add it to DNS, /etc/hosts, or `HostName` in ~/.ssh/config",
    Cause.UNREACHABLE: "`ping {node}`: is it powered, and does a firewall let port 22 through?",
    Cause.REFUSED: "nothing listens there: `systemctl start ssh` on its console, or `-o '-p PORT'` for another port",
    Cause.HUNG: "it accepts and then says nothing: look at its console (memory, disk, a dead network file system)",
    Cause.TIMEOUT: "`time ssh {node} true`; if it is only slow, give it longer: `-t 30s -u 30s`",
    Cause.THROTTLED: "fewer at once, `-f 8`, or `MaxStartups 100:30:200` in sshd_config on it or its jump host",
    Cause.PENALISED: "wait a minute; lasting: `PerSourcePenaltyExemptList` with this host's address in its sshd_config",
    Cause.HOSTKEY_CHANGED: "if it was installed anew, `ssh-keygen -R {node}`, then as for an unknown key; "
    "otherwise somebody may stand in between: ask its administrator",
    Cause.HOSTKEY_UNKNOWN: f"{_KEY} `ssh-keyscan {{node}} >>~/.ssh/known_hosts`",
    Cause.AUTH: "`ssh-copy-id {node}`, and `ssh-add -l` to see whether your key is loaded; cron has no agent",
    Cause.LIMITS: "log some sessions out, or raise `maxlogins` in /etc/security/limits.conf there",
    Cause.MUX: "`ssh -O exit {node}` ends the shared connection; a long ControlPath is cut short with `%C`",
    Cause.STORAGE: "`ssh {node} df -h / /tmp /var /home` shows what is full",
    Cause.NO_SHELL: "`ssh {node} /bin/sh -c true`: the login shell there runs nothing (nologin, an expired account)",
    Cause.PYTHON: "`ssh {node} python3 -I -S -c pass` should say nothing: that python3 is broken",
    Cause.NOT_AWAITED: "`clbalance load -w {node}` waits for it; two answers in a row bring it back",
    Cause.GARBLED: "`ssh {node} true` should print nothing: look at the start-up files of the login shell there",
    Cause.LOST: _LOOK,
    Cause.LOCAL: f"{_LOOK}; `ssh -G {{node}}` shows what your ssh configuration makes of it",
}
"""For every cause. `{node}` is the node."""

# Their words say no more than the cause itself, but name node and address, so that no two nodes would be alike.
_SAYS_IT_ALL = frozenset(
    {
        *(Cause.DNS, Cause.UNREACHABLE, Cause.REFUSED, Cause.HUNG, Cause.TIMEOUT, Cause.THROTTLED, Cause.PENALISED),
        *(Cause.HOSTKEY_CHANGED, Cause.HOSTKEY_UNKNOWN, Cause.AUTH),
    }
)


def silent_finding(silent: Silent) -> Finding:
    """Nothing can be done on it until this is mended."""
    what = silent.cause.value if silent.cause in _SAYS_IT_ALL else silent.cause.because(silent.why)
    return wrong("reach", what, HINTS[silent.cause])
