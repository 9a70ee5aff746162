"""What `metrics` tells of GPUs."""

from collections.abc import Iterator, Sequence

from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.gpu_state import GpuCondition
from clbalance.render.exposition import Family, Labels
from clbalance.render.gpus import gpu_conditions

_WORDS = {
    "use_ratio": "Share of time in which something was computed.",
    "memory_used_bytes": "Memory in use, whoever uses it.",
    "memory_total_bytes": "Memory there is.",
    "temperature_celsius": "Temperature.",
    "leased_ratio": "Share of the device that leases promise.",
    "state": "1 for the state that the device is in.",
}


def gpu_families(answered: Sequence[Measured]) -> list[Family]:
    """One family for each thing that is told, over all devices of all nodes."""
    told: dict[str, list[tuple[Labels, float]]] = {name: [] for name in _WORDS}
    for one in answered:
        gpus = one.reading.gpus
        for gpu, share, found in () if isinstance(gpus, Unknown) else gpu_conditions(one, gpus):
            labels = (("node", one.node), ("gpu", str(gpu.index)), ("uuid", gpu.uuid), ("model", gpu.model))
            for name, more, value in _samples(gpu, share, found):
                told[name].append(((*labels, *more), value))
    return [
        Family(name=f"clbalance_gpu_{name}", kind="gauge", help=_WORDS[name], samples=samples)
        for name, samples in told.items()
    ]


def _samples(gpu: Gpu, share: float, found: GpuCondition) -> Iterator[tuple[str, Labels, float]]:
    if not isinstance(gpu.use_pct, Unknown):
        yield "use_ratio", (), gpu.use_pct / 100
    if not isinstance(gpu.temperature_c, Unknown):
        yield "temperature_celsius", (), gpu.temperature_c
    yield "memory_used_bytes", (), float(gpu.mem_used_bytes)
    yield "memory_total_bytes", (), float(gpu.mem_total_bytes)
    yield "leased_ratio", (), share
    yield "state", (("state", found.state.replace(" ", "_")),), 1.0
