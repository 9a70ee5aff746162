"""What to type where a node is silent, in the names and ports that ssh uses for it. Pure."""

import shlex
from collections.abc import Mapping, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName

_KNOWN_HOSTS = "~/.ssh/known_hosts"
_LOOK = "`ssh -v {node} true` shows how far it comes"
_KEY = "`{scan} | ssh-keygen -lf -` shows its key: compare it with what its administrator says, then"

HINTS: Mapping[Cause, str] = {
    Cause.DNS: "`getent hosts {host}` should know it: add it to DNS, /etc/hosts, or `HostName` in ~/.ssh/config",
    Cause.UNREACHABLE: "`ping {host}`: is it powered, and does a firewall let port {port} through?",
    Cause.REFUSED: "nothing listens on its port {port}: `systemctl start ssh` on its console, or `-o Port=N` if it is "
    "another one",
    Cause.HUNG: "it accepts and then says nothing: look at its console (memory, disk, a dead network file system)",
    Cause.TIMEOUT: "`time ssh {node} true`; if it is only slow, give it longer: `-t 30s -u 30s`; else "
    "`echo one | ssh {node} cat` should print `one`, unless a start-up file there reads standard input",
    Cause.THROTTLED: "fewer at once, `-f 8`, or `MaxStartups 100:30:200` in sshd_config on it or its jump host",
    Cause.PENALISED: "wait a minute; lasting: `PerSourcePenaltyExemptList` with this host's address in its sshd_config",
    Cause.HOSTKEY_CHANGED: "if it was installed anew, `{forget}`, then as for an unknown key; "
    "otherwise someone may intercept the connection: ask its administrator",
    Cause.HOSTKEY_UNKNOWN: f"{_KEY} `{{scan}} >>{{known_hosts}}`",
    Cause.AUTH: "`ssh-copy-id {node}`, and `ssh-add -l` to see whether your key is loaded; cron has no agent",
    Cause.LIMITS: "log some sessions out, or raise `maxlogins` in /etc/security/limits.conf there",
    Cause.MUX: "`ssh -O exit {node}` ends the shared connection; a long ControlPath is cut short with `%C`",
    Cause.STORAGE: "`ssh {node} df -h / /tmp /var /home` shows what is full",
    Cause.NO_SHELL: "`ssh {node} /bin/sh -c true`: the login shell there runs nothing (nologin, an expired account)",
    Cause.PYTHON: "`ssh {node} python3 -I -S -c pass` should say nothing: that python3 is broken",
    Cause.NOT_ROOT: "`-l root` logs in as root on {node}, if that is allowed there",
    Cause.NOT_AWAITED: "`clbalance load -w {node}` waits for it; two answers in a row bring it back",
    Cause.NOT_ASKED: "`--ask-all` asks all nodes",
    Cause.GARBLED: "`ssh {node} true` should print nothing: look at the start-up files of the login shell there",
    Cause.LOST: _LOOK,
    Cause.LOCAL: f"{_LOOK}; `ssh -G {{node}}` shows what your ssh configuration makes of it",
    Cause.ENGINE: "`scontrol ping` says whether Slurm answers, and `scontrol show node {node}` what it says of it",
}
"""A hint for every cause. For the names in braces see `filled_in`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAddress:
    """Where ssh looks for a node, by its configuration."""

    host: str
    port: str = "22"
    alias: str | None = None
    """The name of its key in known_hosts, if it is not that of the host."""
    known_hosts: str = _KNOWN_HOSTS


def filled_in(hint: str, nodes: Sequence[NodeName], addresses: Mapping[NodeName, SshAddress]) -> str:
    """`hint` for one node, or for several: what they do not have in common is in capitals, to be replaced."""
    if "{" not in hint:
        return hint
    node = nodes[0] if len(nodes) == 1 else "NODE"
    at = _in_common([addresses.get(one) or SshAddress(host=one) for one in nodes])
    words = {
        "node": node,
        "host": at.host,
        "port": at.port,
        "known_hosts": _path(at.known_hosts),
        "scan": _scan(at),
        "forget": _forget(at),
    }
    for name, word in words.items():
        hint = hint.replace(f"{{{name}}}", word)
    return hint


def _in_common(each: Sequence[SshAddress]) -> SshAddress:
    def common(values: Sequence[str], otherwise: str) -> str:
        return values[0] if len(set(values)) == 1 else otherwise

    if len(each) == 1:
        return each[0]
    has_alias = any(one.alias for one in each)
    return SshAddress(
        host="HOST",
        port=common([one.port for one in each], "PORT"),
        alias="NODE" if has_alias else None,
        known_hosts=common([one.known_hosts for one in each], _KNOWN_HOSTS),
    )


def _scan(at: SshAddress) -> str:
    """The command that prints its keys as known_hosts has them."""
    port = "" if at.port == "22" else f"-p {at.port} "
    renamed = f" | sed 's/^[^ ]*/{at.alias}/'" if at.alias else ""
    return f"ssh-keyscan {port}{shlex.quote(at.host)}{renamed}"


def _forget(at: SshAddress) -> str:
    """The command that takes its key out of known_hosts."""
    file = "" if at.known_hosts == _KNOWN_HOSTS else f"-f {_path(at.known_hosts)} "
    name = at.alias or (at.host if at.port == "22" else f"[{at.host}]:{at.port}")
    return f"ssh-keygen {file}-R {shlex.quote(name)}"


def _path(path: str) -> str:
    """A path for a shell, which expands `~/`."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)
