"""What the leases of a node hold, and what becomes of the GPUs that they hold, for history. Pure.

No driver tells how much of a shared device each of its jobs uses, so each job has its share of the device's use.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from clbalance.model import Allocation, Gpu, Measured, Unknown
from clbalance.model.node_history import LeasedUse
from clbalance.policy.allocations import gpu_shares_of, readable

IDLE_PCT: Final = 5.0
"""Use of time and of memory, up to which a device counts as idle: the driver's own use, and noise."""


def leased_uses(answer: Measured) -> tuple[LeasedUse, ...] | None:
    """One for each job that holds a lease, its copies on this node added up; None: leases are not known."""
    leases, gpus = answer.reading.leases, answer.reading.gpus
    if isinstance(leases, Unknown):
        return None
    devices = {} if isinstance(gpus, Unknown) else {gpu.uuid: gpu for gpu in gpus}
    found: dict[tuple[int, str], LeasedUse] = {}
    for lease in leases:
        if isinstance(lease.allocation, Allocation):
            job = (lease.uid, lease.key)
            found[job] = _with(found.get(job) or LeasedUse(key=lease.key, uid=lease.uid), lease.allocation, devices)
    return tuple(found.values())


def _with(use: LeasedUse, allocation: Allocation, devices: Mapping[str, Gpu]) -> LeasedUse:
    share = allocation.gpu_share
    known = [
        pct for uuid in allocation.gpus if uuid in devices and not isinstance(pct := devices[uuid].use_pct, Unknown)
    ]
    return LeasedUse(
        key=use.key,
        uid=use.uid,
        cpus=use.cpus + allocation.cpus,
        gpus=use.gpus + share * len(allocation.gpus),
        gpus_known=use.gpus_known + share * len(known),
        gpus_used=use.gpus_used + share * sum(known) / 100,
        gpus_idle=use.gpus_idle + share * sum(pct <= IDLE_PCT for pct in known),
    )


def leased_values(answer: Measured) -> Iterator[Mapping[str, float]]:
    """For each GPU, how much of it is leased, and leased while it is idle; unknown values are left out."""
    leases, gpus = answer.reading.leases, answer.reading.gpus
    shares = None if isinstance(leases, Unknown) else gpu_shares_of(readable(leases))
    for gpu in () if isinstance(gpus, Unknown) else gpus:
        if shares is None:
            yield {}
            continue
        leased_pct = 100.0 * min(1.0, shares.get(gpu.uuid, 0.0))
        if isinstance(gpu.use_pct, Unknown):
            yield {"leased_pct": leased_pct}
        else:
            yield {"leased_pct": leased_pct, "idle_pct": leased_pct if gpu.use_pct <= IDLE_PCT else 0.0}
