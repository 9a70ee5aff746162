"""A lab between two tests: every node up, idle, clean and without a fault again."""

from clbalance.lab import nvidia_smi, processes, reboot
from clbalance.lab import start as folders
from clbalance.lab.cluster import Lab
from clbalance.lab.config_files import sshd_config
from clbalance.lab.load import IDLE
from clbalance.lab.node import LabNode, LabNodeState, boot_nodes, set_loads

_END_WITHIN_S = 60.0
_OWN_PROGRAMS = {nvidia_smi.TOOL, nvidia_smi.KERNEL_LOG_TOOL, *reboot.NAMES, reboot.HEALTH_TOOL}


def restore(lab: Lab) -> None:
    """Cheap for nodes on which nothing was changed."""
    nodes = lab.nodes
    for node in nodes:
        node.thaw()
    boot_nodes([node for node in nodes if node.state() is LabNodeState.DOWN or has_fault(node)])
    set_loads([(node, IDLE) for node in nodes if node.current_load() != IDLE])
    for node in nodes:
        _end_sessions(node)
        _clean(node)
    # Only once no process is left that it could count again.
    set_loads([(node, IDLE) for node in nodes if not looks_idle(node)])


def has_fault(node: LabNode) -> bool:
    """Whether its present boot is not a plain one."""
    return (node.folder.ssh / "sshd_config").read_text() != sshd_config(node.listener)


def looks_idle(node: LabNode) -> bool:
    """Whether it shows no load, not even that of its own processes, whose averages outlive them."""
    return (node.folder.proc / "loadavg").read_text().startswith("0.00 0.00 0.00 1/")


def _end_sessions(node: LabNode) -> None:
    """End what logins left running; the node itself stays up."""
    init = node.init()
    if init is not None:
        sshd = _first_child(init.pid)
        processes.end_all(
            lambda: (pid for pid in processes.descendants(init.pid) if pid != sshd), within_s=_END_WITHIN_S
        )


def _clean(node: LabNode) -> None:
    """Remove what jobs and tests wrote on the node."""
    folder = node.folder
    for place in (folder.tmp, folder.var, *(folder.path / "home").iterdir()):
        folders.empty(place)
    folder.limits.unlink(missing_ok=True)
    for program in folder.bin.iterdir():
        if program.name not in _OWN_PROGRAMS:
            program.unlink()
    if node.gpus:
        nvidia_smi.write_tables(folder, node.gpus, node.current_load())


def _first_child(pid: int) -> int | None:
    """The oldest living child: an init's sshd, as nothing can log in before it."""
    children = [
        (stat.start_ticks, child)
        for child in processes.descendants(pid)
        if (stat := processes.read_stat(child)) is not None and stat.parent == pid and stat.lives
    ]
    return min(children)[1] if children else None
