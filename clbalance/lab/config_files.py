"""The configuration files of a lab: OpenSSH's, with its programs and fresh keys, and ClusterShell's, as text."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from clbalance.errors import LabError
from clbalance.lab.layout import NodeFolder
from clbalance.lazy_dataclass import dataclass

PORT = 2222  # below the ephemeral ports, so that no client's connection ever takes it
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PENALTIES_SINCE = (9, 8)
_PROGRAM_NAMES = ("sshd", "ssh", "scp", "sftp", "ssh-keygen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Absolute paths; sshd insists on one, as it executes itself again for each connection."""

    sshd: str
    ssh: str
    scp: str
    sftp: str
    ssh_keygen: str


def find_programs(path: str = SYSTEM_PATH) -> Programs:
    """OpenSSH as installed, or `LabError` saying what to install.

    Not by the caller's PATH: an unprivileged one lacks sshd, and one inside a lab begins with our own wrappers.
    """
    found = {name: shutil.which(name, path=path) for name in _PROGRAM_NAMES}
    missing = [name for name, where in found.items() if where is None]
    if missing:
        raise LabError(
            f"a lab needs OpenSSH, and {', '.join(missing)} is missing",
            hint="`apt-get install openssh-server openssh-client`",
        )
    return Programs(**{name.replace("-", "_"): where for name, where in found.items() if where is not None})


def make_key(programs: Programs, path: Path) -> str:
    """A fresh ed25519 key pair at `path`; returns the public one as `type base64`."""
    argv = [programs.ssh_keygen, "-q", "-t", "ed25519", "-N", "", "-C", f"clbalance-lab:{path.name}", "-f", str(path)]
    made = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise LabError(f"ssh-keygen cannot make {path}: {(made.stderr or made.stdout).strip()}")
    kind, key = path.with_name(f"{path.name}.pub").read_text().split()[:2]
    return f"{kind} {key}"


def sshd_version(programs: Programs) -> tuple[int, int]:
    """Such as (9, 2); (0, 0) if it does not say."""
    asked = subprocess.run([programs.sshd, "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", asked.stderr + asked.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def session_environment(folder: NodeFolder) -> dict[str, str]:
    """What every session on the node finds set; each value is free of blanks and quotes."""
    return {
        "CLBALANCE_LAB_NODE": str(folder.path),
        "CLBALANCE_NODE_DIR": str(folder.var),
        "CLBALANCE_PROCFS": str(folder.proc),
        "PATH": f"{folder.bin}:{SYSTEM_PATH}",
        "TMPDIR": str(folder.tmp),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where and how one node's sshd listens; `overrides` are sshd_config lines that win."""

    folder: NodeFolder
    address: str
    host_key: Path
    keys: Path
    max_startups: str
    version: tuple[int, int]
    environment: Mapping[str, str]
    overrides: Mapping[str, str]


def sshd_config(listener: Listener) -> str:
    """A server that accepts the lab's keys only and reads nothing of the user's."""
    lines = [
        # Of most keywords sshd takes the first line only.
        *(f"{keyword} {value}" for keyword, value in listener.overrides.items()),
        f"ListenAddress {listener.address}:{PORT}",
        f"HostKey {listener.host_key}",
        f"PidFile {listener.folder.sshd_pid}",
        f"AuthorizedKeysFile {listener.keys}/%u.pub",
        "AuthenticationMethods publickey",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "PermitUserRC no",
        "UsePAM no",
        "StrictModes no",  # a lab below /tmp, which is world-writable, is fine
        "UseDNS no",
        "X11Forwarding no",
        "PrintMotd no",
        "PrintLastLog no",
        f"MaxStartups {listener.max_startups}",
        "Subsystem sftp internal-sftp",
        "AcceptEnv CLBALANCE_FAIL_AT",
        "SetEnv " + " ".join(f"{name}={value}" for name, value in listener.environment.items()),
    ]
    if listener.version >= _PENALTIES_SINCE:
        lines.append("PerSourcePenalties no")  # all nodes and all clients share one machine's addresses
    return "\n".join(lines) + "\n"


def ssh_config(directory: Path, user: str, addresses: Mapping[str, str]) -> str:
    """A client configuration that knows the lab's nodes, its keys and its known_hosts, and nothing else."""
    hosts = "".join(
        f"Host {name}\n    HostName {address}\n    HostKeyAlias {name}\n" for name, address in addresses.items()
    )
    return (
        # Before any Host block, so that it also holds for names that the lab does not know.
        "IgnoreUnknown WarnWeakCrypto\n"
        f"{hosts}Host {' '.join(addresses)}\n"
        f"    User {user}\n"
        f"    Port {PORT}\n"
        f"    IdentityFile {directory}/keys/%r\n"
        "    IdentitiesOnly yes\n"
        "    IdentityAgent none\n"
        "    PreferredAuthentications publickey\n"
        f"    UserKnownHostsFile {directory}/known_hosts\n"
        "    GlobalKnownHostsFile none\n"
        "    StrictHostKeyChecking yes\n"
        "    UpdateHostKeys no\n"
        # Who is to die between two steps may be a client or a node: docs/design/jobs.md.
        "    SendEnv CLBALANCE_FAIL_AT\n"
        "    CheckHostIP no\n"
        # Both ends of every key exchange run on this one machine; the default post-quantum one costs each
        # connection 70 ms of it. Newer clients would warn about its absence.
        "    KexAlgorithms curve25519-sha256\n"
        "    WarnWeakCrypto no\n"
    )


def known_hosts(host_keys: Mapping[str, str]) -> str:
    """Each node's own key under its name."""
    return "".join(f"{name} {key}\n" for name, key in host_keys.items())


def wrapper(program: str, config: Path) -> str:
    """A script that runs `program` with the lab's configuration; a later `-F` of the caller's wins."""
    return f"#!/bin/sh\nexec {program} -F '{config}' \"$@\"\n"


# ClusterShell's configuration files for a lab, as text; ClusterShell itself is not used here.

GROUPS_CONF = """\
[Main]
default: local
autodir: $CFGDIR/groups.d

[local]
map: sed -n 's/^$GROUP: //p' $CFGDIR/groups
all: sed -n 's/^all: //p' $CFGDIR/groups
list: sed -n 's/^\\([^:]*\\): .*/\\1/p' $CFGDIR/groups
"""


def groups_table(groups: Mapping[str, Sequence[str]]) -> str:
    """What the upcalls of `GROUPS_CONF` read."""
    return "".join(f"{name}: {' '.join(members)}\n" for name, members in groups.items())


def clush_conf(ssh_config: Path) -> str:
    """clush on the lab's nodes."""
    return f"[Main]\nfanout: 64\nconnect_timeout: 10\ncommand_timeout: 0\nssh_options: -F {ssh_config}\n"
