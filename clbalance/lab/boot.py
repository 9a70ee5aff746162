"""Starting nodes' inits, many at once, and telling them their loads."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import clbalance
from clbalance.errors import LabError
from clbalance.lab import folder as folders
from clbalance.lab import gpu, proctree
from clbalance.lab.layout import NodeFolder, replace_file
from clbalance.lab.load import IDLE, Load, Order
from clbalance.lab.openssh import SYSTEM_PATH
from clbalance.lab.proctree import ProcessId

_BOOT_S = 60.0
_APPLY_S = 10.0
_POLL_S = 0.002


def lay_out_boot(node: NodeFolder, sshd_config: str, gpus: int) -> None:
    """What a machine finds after switching it on: an idle load, an empty temporary folder."""
    (node.ssh / "sshd_config").write_text(sshd_config)
    folders.empty(node.tmp)
    folders.empty(node.init.parent)
    write_order(node, gpus, IDLE)


def write_order(node: NodeFolder, gpus: int, load: Load) -> int:
    """Put down what the node is to show; returns the order's number."""
    number = time.monotonic_ns()
    replace_file(node.order, Order(number=number, load=load).to_json())
    if gpus:
        gpu.write_tables(node, gpus, load)
    return number


def launch(nodes: Sequence[NodeFolder], tie: int | None) -> None:
    """Start every node's init; `LabError` names those that did not come up, the others stay."""
    launchers = [(node, _launcher(node, tie)) for node in nodes]
    give_up_at = time.monotonic() + _BOOT_S
    failed = []
    for node, launcher in launchers:
        try:
            _, told = launcher.communicate(timeout=max(0.1, give_up_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            launcher.kill()
            _, told = launcher.communicate()
            told += f"not up within {_BOOT_S:g} s"
        if launcher.returncode != 0:
            failed.append(f"{node.name}: {told.strip()}")
    if failed:
        raise LabError("nodes that do not come up: " + "; ".join(failed))


def _launcher(node: NodeFolder, tie: int | None) -> subprocess.Popen[str]:
    argv = [sys.executable, "-S", "-m", "clbalance.lab.init", str(node.path)]
    return subprocess.Popen(
        argv if tie is None else [*argv, str(tie)],
        # Without `site` (-S) a start takes half the time; our package is then found by PYTHONPATH.
        env={
            "PYTHONPATH": str(Path(clbalance.__file__).parent.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": "/usr/bin:/bin",
            "CLBALANCE_LAB_NODE": str(node.path),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=() if tie is None else (tie,),
        text=True,
    )


def await_orders(orders: Iterable[tuple[NodeFolder, ProcessId, int]]) -> None:
    """Wake the inits and return when each shows its order of this number, or has ended."""
    waiting = list(orders)
    for _, init, _ in waiting:
        proctree.send(init.pid, signal.SIGHUP)
    give_up_at = time.monotonic() + _APPLY_S
    for node, init, number in waiting:
        while int(node.applied.read_text()) < number and _runs(init):
            if time.monotonic() > give_up_at:
                raise LabError(f"{node.name} does not take its load", hint=f"see {node.init_log}")
            time.sleep(_POLL_S)


def _runs(init: ProcessId) -> bool:
    """A stopped init takes its order when it is thawed."""
    stat = proctree.stat_of(init)
    return stat is not None and not stat.is_stopped


def path_without(node: NodeFolder, programs: Sequence[str]) -> Path:
    """A folder of links to every program of the system's PATH but these."""
    links = node.path / "programs"
    links.mkdir(exist_ok=True)
    folders.empty(links)
    # Reversed, so that the folder that comes first on the PATH has the last word.
    found = {
        program.name: program
        for place in reversed(SYSTEM_PATH.split(":"))
        if (folder := Path(place)).is_dir()
        for program in folder.iterdir()
    }
    for name, program in found.items():
        if name not in programs:
            (links / name).symlink_to(program)
    return links
