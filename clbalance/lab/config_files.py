"""The texts of a lab's configuration files, for OpenSSH and ClusterShell; OpenSSH's programs and new keys."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from clbalance.errors import LabError
from clbalance.lab.layout import NodeFolder
from clbalance.lazy_dataclass import dataclass

PORT = 2222  # below the ephemeral ports, so that no client connection uses it
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEY_KIND = ("-t", "ecdsa", "-b", "256")  # which costs least (docs/design/lab.md)
_PENALTIES_SINCE = (9, 8)
_SESSION_PROGRAM_SINCE = (9, 8)
_PROGRAM_NAMES = ("sshd", "ssh", "scp", "sftp", "ssh-keygen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Absolute paths of OpenSSH's programs. sshd needs one, as it executes itself for each connection."""

    sshd: str
    ssh: str
    scp: str
    sftp: str
    ssh_keygen: str


def find_programs(path: str = SYSTEM_PATH) -> Programs:
    """The installed OpenSSH, or `LabError`, which says what to install.

    The caller's PATH is not used: a normal user's lacks sshd, and a lab's begins with our own wrappers.
    """
    found, missing = find_installed(_PROGRAM_NAMES, path)
    if missing:
        raise LabError(
            f"a lab needs OpenSSH, and {', '.join(missing)} is missing",
            hint="`apt-get install openssh-server openssh-client`",
        )
    return Programs(**{name.replace("-", "_"): where for name, where in found.items()})


def find_installed(names: Sequence[str], path: str) -> tuple[Mapping[str, str], list[str]]:
    """The absolute paths of programs by name, and the names of those that are missing."""
    found = {name: where for name in names if (where := shutil.which(name, path=path)) is not None}
    return found, [name for name in names if name not in found]


def make_key(programs: Programs, path: Path) -> str:
    """Make a key pair at `path`. The public key as `type base64`; `LabError` if it fails."""
    argv = [programs.ssh_keygen, "-q", *_KEY_KIND, "-N", "", "-C", f"clbalance-lab:{path.name}", "-f", str(path)]
    made = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise LabError(f"ssh-keygen cannot make {path}: {(made.stderr or made.stdout).strip()}")
    kind, key = path.with_name(f"{path.name}.pub").read_text().split()[:2]
    return f"{kind} {key}"


def sshd_version(programs: Programs) -> tuple[int, int]:
    """The version as (9, 2); (0, 0) if sshd does not say."""
    asked = subprocess.run([programs.sshd, "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", asked.stderr + asked.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def sshd_options(version: tuple[int, int]) -> tuple[str, ...]:
    """Options that spare sshd the execution of itself for each connection; since 9.8 another program serves those."""
    return ("-r",) if version < _SESSION_PROGRAM_SINCE else ()


def session_environment(folder: NodeFolder) -> dict[str, str]:
    """The environment of every session on the node. Values have no blanks or quotes."""
    return {
        "CLBALANCE_LAB_NODE": str(folder.path),
        "CLBALANCE_LIMITS": str(folder.limits),
        "CLBALANCE_NODE_DIR": str(folder.var),
        "CLBALANCE_PROCFS": str(folder.proc),
        "PATH": f"{folder.bin}:{SYSTEM_PATH}",
        "TMPDIR": str(folder.tmp),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Settings of one node's sshd. `overrides`: sshd_config lines that override ours."""

    folder: NodeFolder
    address: str
    host_key: Path
    keys: Path
    max_startups: str
    version: tuple[int, int]
    environment: Mapping[str, str]
    overrides: Mapping[str, str]


def sshd_config(listener: Listener) -> str:
    """The configuration of a server that accepts only the lab's keys and reads no files of the user."""
    lines = [
        # First: for most keywords sshd uses the first line.
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
        "StrictModes no",  # a lab may lie below /tmp, which is world-writable
        "UseDNS no",
        "X11Forwarding no",
        "PrintMotd no",
        "PrintLastLog no",
        f"MaxStartups {listener.max_startups}",
        *([] if "Subsystem" in listener.overrides else ["Subsystem sftp internal-sftp"]),  # sshd takes only one
        "AcceptEnv CLBALANCE_FAIL_AT",
        "SetEnv " + " ".join(f"{name}={value}" for name, value in listener.environment.items()),
    ]
    if listener.version >= _PENALTIES_SINCE:
        lines.append("PerSourcePenalties no")  # all nodes and all clients share one machine's addresses
    return "\n".join(lines) + "\n"


def ssh_config(directory: Path, user: str, addresses: Mapping[str, str]) -> str:
    """A client configuration with only the lab's nodes, keys and known_hosts."""
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
        # For tests of crashes on a node, between two steps: docs/design/jobs.md.
        "    SendEnv CLBALANCE_FAIL_AT\n"
        "    CheckHostIP no\n"
        # This machine runs both ends of each connection, so the exchange that costs least (docs/design/lab.md).
        # Newer clients would warn of it.
        "    KexAlgorithms ecdh-sha2-nistp256\n"
        "    WarnWeakCrypto no\n"
    )


def known_hosts(host_keys: Mapping[str, str]) -> str:
    """known_hosts: the host key of each node."""
    return "".join(f"{name} {key}\n" for name, key in host_keys.items())


def hosts(addresses: Mapping[str, str]) -> str:
    """The file of host names, /etc/hosts, of each node: the nodes find each other by name."""
    return "".join(f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **addresses}.items())


def wrapper(program: str, config: Path) -> str:
    """A script that runs `program` with the lab's configuration, which a later `-F` overrides."""
    return f"#!/bin/sh\nexec {program} -F '{config}' \"$@\"\n"


# ClusterShell's configuration files. ClusterShell itself is not used here.

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
    """The file that the upcalls of `GROUPS_CONF` read."""
    return "".join(f"{name}: {' '.join(members)}\n" for name, members in groups.items())


def topology_conf(here: str, names: Sequence[str], gateways: int) -> str:
    """The routes from this machine through the first of the nodes to the others."""
    first, others = ",".join(names[:gateways]), ",".join(names[gateways:])
    return f"[routes]\n{here}: {first}\n{first}: {others}\n"


def clush_conf(ssh_config: Path) -> str:
    """The configuration of clush for the lab's nodes."""
    return f"[Main]\nfanout: 64\nconnect_timeout: 10\ncommand_timeout: 0\nssh_options: -F {ssh_config}\n"
