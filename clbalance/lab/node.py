"""The control of one lab node: load, kill, boot, hang, thaw.

All its state is in the node's folder, so any process of the same user can control it.
"""

import json
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from typing import TypedDict, Unpack

from clbalance.errors import LabError, UsageError
from clbalance.lab import nvidia_smi, start
from clbalance.lab.config_files import Listener, sshd_config
from clbalance.lab.layout import NodeFolder
from clbalance.lab.load import GpuLoad, Load, Order
from clbalance.lab.namespaces import Isolation
from clbalance.lab.processes import ProcessId, descendants, end_all, end_strays, living, read_stat, send, stat_of
from clbalance.lab.reboot import check_reboot
from clbalance.lazy_dataclass import dataclass

_SIGNAL_EFFECT_S = 10.0  # a process in D state handles a signal only after its I/O
_POLL_S = 0.002
_MOST_KIB_PER_S = 1_000_000_000  # the greatest threshold that can be set


class LabNodeState(StrEnum):
    """The state of a node, seen from outside."""

    UP = "up"
    HUNG = "hung"
    DOWN = "down"


class LoadChanges(TypedDict, total=False):
    """The fields of `Load`, each optional."""

    r1m: float
    r5m: float | None
    r15m: float | None
    rq: int | None
    ut_pct: float
    mem_used_bytes: int | None
    swap_used_bytes: int
    psi_cpu_pct: float
    psi_mem_pct: float
    psi_io_pct: float
    io_kib_per_s: float | None
    net_kib_per_s: float | None
    spin: int
    gpus: tuple[GpuLoad, ...]
    gpu_parts: tuple[tuple[int, int], ...]
    gpu_faults: tuple[tuple[int, str], ...]
    gpu_tool: str
    reboot: str
    reboot_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Faults of a node from its next boot on; by default none."""

    without: tuple[str, ...] = ()
    """Programs that are missing on its PATH."""
    sshd_options: Mapping[str, str] = field(default_factory=dict)
    """Lines of sshd_config that override the lab's, such as `MaxStartups` or `Banner`."""
    other_host_key: bool = False
    """Its host key is not the one in the lab's known_hosts."""


NO_FAULT = Fault()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNode:
    """A handle on a node; it keeps no state of its own."""

    listener: Listener
    isolation: Isolation
    gpus: int
    tie: int | None = None

    @property
    def name(self) -> str:
        """The name in ssh_config."""
        return self.folder.name

    @property
    def folder(self) -> NodeFolder:
        """The folder of its files."""
        return self.listener.folder

    # -- looking ------------------------------------------------------------------------------------

    def state(self) -> LabNodeState:
        """Up, hung or down at this instant."""
        init = self.init()
        stat = None if init is None else stat_of(init)
        if stat is None:
            return LabNodeState.DOWN
        return LabNodeState.HUNG if stat.is_stopped else LabNodeState.UP

    def init(self) -> ProcessId | None:
        """The node's first process; None if it is gone."""
        noted = self._noted_init()
        return None if noted is None or stat_of(noted) is None else noted

    def _noted_init(self) -> ProcessId | None:
        """The init of the current or last boot; None before the first."""
        try:
            return ProcessId(**json.loads(self.folder.init.read_text()))
        except FileNotFoundError:
            return None

    def processes(self) -> list[int]:
        """The host's pids of all processes of the node, its init first."""
        init = self.init()
        return [] if init is None else [init.pid, *living(descendants(init.pid))]

    def boot_id(self) -> str:
        """The id of the current boot; if the node is down, of the last."""
        return (self.folder.proc / "sys/kernel/random/boot_id").read_text().strip()

    def current_load(self) -> Load:
        """The current base load, without the node's own processes."""
        try:
            text = self.folder.order.read_text()
        except FileNotFoundError:
            raise LabError(
                f"{self.name} was never booted: `lab up` was interrupted", hint="`clbalance lab down`, then up again"
            ) from None
        return Order.from_json(text).load

    # -- doing --------------------------------------------------------------------------------------

    def load(self, **changes: Unpack[LoadChanges]) -> None:
        """Change some values of the base load. A running node shows them on return."""
        set_loads([(self, replace(self.current_load(), **changes))])

    def kill(self) -> None:
        """Power off: SIGKILL all processes of the node. None is left on return; else `LabError`."""
        init = self._noted_init()
        if init is None:
            return
        if stat_of(init) is None:
            if self.isolation is Isolation.SUBREAPER:  # an init that died by itself leaves orphans
                end_strays(self.folder.path)
            return
        done = True
        if self.isolation is Isolation.SUBREAPER:
            # A stopped init does not reap or end anything, so its descendants can still be found.
            send(init.pid, signal.SIGSTOP)
            done = end_all(lambda: descendants(init.pid), within_s=_SIGNAL_EFFECT_S)
        if not (done and end_all(lambda: _if_living(init), within_s=_SIGNAL_EFFECT_S)):
            raise LabError(f"{self.name} has processes that cannot be killed", hint="`clbalance lab status`")

    def boot(self, fault: Fault = NO_FAULT) -> None:
        """Boot or reboot it: idle, with a new boot_id and an empty temporary folder."""
        boot_nodes([self], fault)

    def hang(self) -> None:
        """Stop all processes of the node, sshd included: connections open, but get no answer."""
        give_up_at = time.monotonic() + _SIGNAL_EFFECT_S
        told: set[int] = set()

        # A shell whose vfork child was stopped before its exec sleeps in state D until the child goes on.
        def still_running() -> list[int]:
            return [pid for pid in self.processes() if _is_running(pid) and not (pid in told and _waits(pid))]

        while running := still_running() or still_running():  # twice, as in processes.end_all
            for pid in running:
                send(pid, signal.SIGSTOP)
                told.add(pid)
            if time.monotonic() > give_up_at:
                raise LabError(f"{self.name} has processes that do not stop", hint="`clbalance lab kill`")
            time.sleep(_POLL_S)

    def thaw(self) -> None:
        """Let all processes of the node go on."""
        for pid in reversed(self.processes()):
            send(pid, signal.SIGCONT)


def boot_nodes(nodes: Sequence[LabNode], fault: Fault = NO_FAULT) -> None:
    """Boot or reboot all of them at once."""
    for node in nodes:
        node.kill()
        start.lay_out_boot(node.folder, sshd_config(_with_fault(node.listener, fault)), node.gpus)
    start.launch([node.folder for node in nodes], nodes[0].tie if nodes else None)


def set_loads(loads: Sequence[tuple[LabNode, Load]]) -> None:
    """Set the load of each node. Running nodes show it on return; `LabError` if one does not."""
    orders = []
    for node, load in loads:
        _check_load(node, load)
        number = start.write_order(node.folder, node.gpus, load)
        init = node.init()
        if init is not None:
            orders.append((node.folder, init, number))
    start.await_orders(orders)


def _check_load(node: LabNode, load: Load) -> None:
    nvidia_smi.check_devices(node.name, node.gpus, load)
    check_reboot(load.reboot, load.reboot_s)
    gpu_percents = (device.use_pct for device in load.gpus)
    percents = (load.ut_pct, load.psi_cpu_pct, load.psi_mem_pct, load.psi_io_pct, *gpu_percents)
    if not all(0 <= percent <= 100 for percent in percents):
        raise UsageError("a percentage is outside 0 to 100")
    queues = (load.r1m, load.r5m or 0.0, load.r15m or 0.0, load.rq or 0, load.spin)
    if not all(0 <= length <= 100_000 for length in queues):
        raise UsageError("a run queue or a number of processes is outside 0 to 100000")
    if not all(0 <= kib <= _MOST_KIB_PER_S for kib in (load.io_kib_per_s or 0.0, load.net_kib_per_s or 0.0)):
        raise UsageError(f"traffic is outside 0 to {_MOST_KIB_PER_S} KiB per second")


def _with_fault(listener: Listener, fault: Fault) -> Listener:
    environment = dict(listener.environment)
    if fault.without:
        environment["PATH"] = f"{listener.folder.bin}:{start.path_without(listener.folder, fault.without)}"
    return replace(
        listener,
        environment=environment,
        overrides=fault.sshd_options,
        host_key=listener.folder.other_host_key if fault.other_host_key else listener.host_key,
    )


def _if_living(process: ProcessId) -> list[int]:
    return [process.pid] if stat_of(process) is not None else []


def _is_running(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.lives and not stat.is_stopped


def _waits(pid: int) -> bool:
    """Whether it is in a sleep that no signal ends (D). Pending signals are handled right after it."""
    stat = read_stat(pid)
    return stat is not None and stat.state == "D"
