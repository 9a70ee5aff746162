"""Makes a lab: decides what the spec leaves open, and writes the files of nodes and users."""

import os
import pwd
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import clbalance
from clbalance.errors import LabError
from clbalance.lab import config_files, nvidia_smi, reboot
from clbalance.lab.config_files import Programs
from clbalance.lab.layout import NodeConfig, NodeFolder, Service
from clbalance.lab.namespaces import Isolation
from clbalance.lab.node import LabNode
from clbalance.lab.record import Record
from clbalance.lab.spec import LabSpec, current_user, group_text, has_login_shell, passwd_text, shadow_text

_PRIVSEP = Path("/run/sshd")  # compiled into Debian's sshd; used only by root's
# The host's login records. Each node gets its own instead.
_LOGIN_RECORDS = (Path("/run/utmp"), Path("/var/log/wtmp"), Path("/var/log/lastlog"), Path("/var/log/btmp"))
_NODE_PLACES = ("proc/pressure", "proc/net", "proc/sys/kernel/random", "bin", "etc", "gpu", "home", "log", "run", "ssh")
_PROBE_S = 10.0
_ADDRESS_TRIES = 50


def settle(spec: LabSpec, programs: Programs) -> Record:
    """Decide isolation and addresses. `LabError` if this machine or user cannot have such a lab."""
    owner = current_user()
    if owner is None:
        raise LabError(
            f"uid {os.getuid()} has no user name, and ssh refuses to work without one",
            hint="add a line for it to /etc/passwd",
        )
    isolation = _settle_isolation(spec)
    if isolation is Isolation.SUBREAPER and not has_login_shell(owner):
        raise LabError(
            f"the login shell of `{owner.pw_name}` is {owner.pw_shell}, so sshd would run nothing",
            hint="run the lab as a user with a login shell, or allow user namespaces",
        )
    return Record(
        spec=spec,
        isolation=isolation,
        network=_free_network(spec.nodes),
        user=owner.pw_name,
        sshd=programs.sshd,
        sshd_version=config_files.sshd_version(programs),
    )


def _settle_isolation(spec: LabSpec) -> Isolation:
    allowed = spec.isolation is not Isolation.SUBREAPER and namespaces_work()
    if spec.isolation is Isolation.NAMESPACES and not allowed:
        raise LabError(
            "this user may not have namespaces here", hint="`--isolation subreaper`, or none: the best is chosen"
        )
    if spec.users and not (allowed and os.getuid() == 0):
        raise LabError("several users need root and namespaces", hint="run as root, or leave `--users` out")
    if spec.slurm and not allowed:
        raise LabError("a lab with Slurm needs namespaces, so that each node has a name of its own", hint="run as root")
    return Isolation.NAMESPACES if allowed else Isolation.SUBREAPER


def namespaces_work() -> bool:
    """Whether namespaces can be made. It is tried: not only sysctls but AppArmor, seccomp and mounts may forbid it."""
    tried = subprocess.run(
        [sys.executable, "-S", "-m", "clbalance.lab.namespaces"],
        env={"PYTHONPATH": str(Path(clbalance.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PROBE_S,
        check=False,
    )
    return tried.returncode == 0


def _free_network(nodes: int) -> str:
    """The first three octets (127.x.y) of free addresses for all nodes; random, so that labs rarely collide."""
    for _ in range(_ADDRESS_TRIES):
        network = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(255)}"
        if _all_free(f"{network}.{last}" for last in range(1, nodes + 1)):
            return network
    raise LabError(
        f"no free addresses in 127.0.0.0/8 at port {config_files.PORT}", hint=f"`ss -ltn sport = {config_files.PORT}`"
    )


def _all_free(addresses: Iterable[str]) -> bool:
    with ExitStack() as sockets:
        try:
            for address in addresses:
                sockets.enter_context(socket.socket()).bind((address, config_files.PORT))
        except OSError:
            return False
    return True


def lay_out(
    directory: Path,
    record: Record,
    programs: Programs,
    nodes: Sequence[LabNode],
    services: Mapping[str, tuple[Service, ...]],
) -> None:
    """Write all files of a lab, before its first boot. `services`: by node, what its init starts beside sshd."""
    for name in ("keys", "clustershell", "bin", "state"):
        (directory / name).mkdir()
    _lay_out_keys(directory / "keys", record, programs)
    host_keys = {}
    for node in nodes:
        _lay_out_node(node, record, services.get(node.name, ()))
        host_keys[node.name] = config_files.make_key(programs, node.listener.host_key)
        config_files.make_key(programs, node.folder.other_host_key)
    (directory / "known_hosts").write_text(config_files.known_hosts(host_keys))
    _lay_out_client(directory, record, programs)
    if os.getuid() == 0:
        _PRIVSEP.mkdir(mode=0o755, exist_ok=True)


def _lay_out_keys(keys: Path, record: Record, programs: Programs) -> None:
    """Make one key pair per user: `keys/alice` opens the account of alice and belongs to it."""
    config_files.make_key(programs, keys / record.user)
    for user in record.spec.users:
        config_files.make_key(programs, keys / user.name)
        os.chown(keys / user.name, user.uid, user.uid)


def _lay_out_client(directory: Path, record: Record, programs: Programs) -> None:
    config = directory / "ssh_config"
    config.write_text(config_files.ssh_config(directory, record.user, record.addresses()))
    for program in (programs.ssh, programs.scp, programs.sftp):
        _write_program(directory / "bin" / Path(program).name, config_files.wrapper(program, config))
    cluster = directory / "clustershell"
    (cluster / "groups.conf").write_text(config_files.GROUPS_CONF)
    (cluster / "groups").write_text(config_files.groups_table(record.spec.groups()))
    (cluster / "clush.conf").write_text(config_files.clush_conf(config))
    if record.spec.gateways:
        here = socket.gethostname().partition(".")[0]
        routes = config_files.topology_conf(here, record.spec.node_names(), record.spec.gateways)
        (directory / "topology.conf").write_text(routes)  # not beside `clush.conf`: clush would use it unasked


def _lay_out_node(node: LabNode, record: Record, services: tuple[Service, ...]) -> None:
    folder = node.folder
    for place in _NODE_PLACES:
        (folder.path / place).mkdir(parents=True)
    for open_to_all in (folder.tmp, folder.var):
        open_to_all.mkdir()
        open_to_all.chmod(0o1777)
    owner = pwd.getpwnam(record.user)
    folder.home(owner.pw_name).mkdir(mode=0o700)
    for user in record.spec.users:
        folder.home(user.name).mkdir(mode=0o700)
        os.chown(folder.home(user.name), user.uid, user.uid)
    spec = record.spec
    config = NodeConfig(
        cpus=spec.cpus,
        mem_bytes=spec.mem_bytes,
        swap_bytes=spec.swap_bytes,
        isolation=record.isolation,
        sshd=record.sshd,
        sshd_options=config_files.sshd_options(record.sshd_version),
        binds=(*_stand_ins(folder, owner, record), *reboot.stand_ins(folder)),
        services=services,
    )
    folder.config.write_text(config.to_json())
    for name in reboot.NAMES:
        _write_program(folder.bin / name, reboot.tool_text(folder, record.isolation))
    _write_program(folder.bin / reboot.HEALTH_TOOL, reboot.health_tool_text(folder))
    if node.gpus:
        _write_program(folder.bin / nvidia_smi.TOOL, nvidia_smi.tool_text(folder))
        _write_program(folder.bin / nvidia_smi.KERNEL_LOG_TOOL, nvidia_smi.kernel_log_tool_text(folder))


def _stand_ins(folder: NodeFolder, owner: pwd.struct_passwd, record: Record) -> tuple[tuple[str, str], ...]:
    """Write the node's own accounts, host names and login records. Pairs: such a file, the system's it replaces."""
    users = record.spec.users
    passwd = passwd_text(owner, users, folder.home)
    texts = {
        Path("/etc/passwd"): passwd,
        Path("/etc/group"): group_text(users),
        Path("/etc/shadow"): shadow_text(passwd),
        Path("/etc/hosts"): config_files.hosts(record.addresses()),
    } | dict.fromkeys(_LOGIN_RECORDS, "")
    binds = []
    for system, text in texts.items():
        if system.exists():
            own = folder.path / "etc" / system.name
            own.write_text(text)
            binds.append((str(own), str(system)))
    return tuple(binds)


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
