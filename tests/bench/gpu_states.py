"""How often a job lands on a node with a free GPU, over random states of a small cluster. No cluster, one process."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from clbalance.model import Gpu, Lease, Measured, Unknown
from clbalance.policy.placement.policies import LEAST, Policy, policy_named
from tests.policy.build import gpu, lease, node, placed, sweep

from .figure import Figure
from .question import Measurement
from .site import Site

_STATES = 200
_NODES = 12
_GPUS = (2, 4, 8)
_WITHOUT_TERM = policy_named("least", weights={"gpu": 0.0})
"""As before GPUs counted in the rank of a job that asks for none."""


def gpu_states(_: Site) -> Iterator[Figure]:
    """200 states, each with its own seed; load, leases and strangers of a node are independent of each other."""
    for words, gpus, policy, limit in (
        ("without --gpus, weight gpu 0", 0, _WITHOUT_TERM, None),
        ("without --gpus", 0, LEAST, 5.0),
        ("--gpus 1, weight gpu 0", 1, _WITHOUT_TERM, 0.0),
        ("--gpus 1", 1, LEAST, 0.0),
    ):
        yield _figure(words, [_lands_on_free(seed, gpus, policy) for seed in range(_STATES)], limit)
    for words, policy, limit in (
        ("kept off GPU nodes, weight gpu 0", _WITHOUT_TERM, None),
        ("kept off GPU nodes", LEAST, 15.0),
    ):
        yield _figure(words, [_stays_off(seed, policy) for seed in range(_STATES)], limit)


def _figure(words: str, hits: list[bool | None], limit: float | None) -> Figure:
    counted = [hit for hit in hits if hit is not None]
    missed = len(counted) - sum(counted)
    note = f"{sum(counted)} of {len(counted)} states"
    return Figure(name=words, value=100.0 * missed / len(counted), unit="% missed", limit=limit, note=note)


def _lands_on_free(seed: int, gpus: int, policy: Policy) -> bool | None:
    """None: no node that fits has a free device."""
    rng = random.Random(seed)
    nodes = [_drawn(f"n{number}", rng, has_gpus=True) for number in range(_NODES)]
    plan = placed(sweep(*(one.answer for one in nodes)), gpus=gpus, policy=policy, seed=seed)
    free = {one.answer.node for one in nodes if one.has_free}
    if free.isdisjoint(score.node for score in plan.ranked):
        return None
    return free.issuperset(plan.chosen)


def _stays_off(seed: int, policy: Policy) -> bool | None:
    """Of a mixed set, half of it with GPUs. None: no node without GPUs fits."""
    rng = random.Random(seed)
    nodes = [_drawn(f"n{number}", rng, has_gpus=number % 2 == 0).answer for number in range(_NODES)]
    plan = placed(sweep(*nodes), policy=policy, seed=seed)
    plain = {one.node for one in nodes if not one.reading.gpus}
    return None if plain.isdisjoint(score.node for score in plan.ranked) else plain.issuperset(plan.chosen)


@dataclass(frozen=True, slots=True)
class _Drawn:
    answer: Measured
    has_free: bool


def _drawn(name: str, rng: random.Random, *, has_gpus: bool) -> _Drawn:
    """A node up to 90 % busy. Half of the nodes with GPUs have no free one; the others have some that are not."""
    cpus = rng.choice((8, 16, 64))
    busy = rng.uniform(0.0, 0.9)
    devices: list[Gpu] = []
    leases: list[Lease] = []
    is_full = rng.random() < 0.5
    for index in range(rng.choice(_GPUS) if has_gpus else 0):
        kind = rng.choice(
            ("leased", "computes", "holds") if is_full else ("leased", "computes", "holds", "free", "free")
        )
        devices.append(_device(index, kind, rng))
        if kind == "leased":
            leases.append(lease(cpus=1.0, gpus=(f"GPU-{index}",), age_s=600.0))
    answer = node(
        name,
        cpus=cpus,
        r1m=cpus * busy,
        ut=min(100.0, 100.0 * busy + rng.uniform(0.0, 10.0)),
        mem=rng.uniform(20.0, 95.0),
        psi=(rng.uniform(0.0, 20.0 * busy), 0.0, rng.uniform(0.0, 10.0)),
        leases=tuple(leases),
        gpus=tuple(devices),
    )
    held = {uuid for one in leases for uuid in _gpus_of(one)}
    return _Drawn(answer, any(one.uuid not in held and one.processes == () for one in devices))


def _device(index: int, kind: str, rng: random.Random) -> Gpu:
    match kind:
        case "leased":
            return gpu(index, used=rng.randint(0, 80), use=rng.uniform(0.0, 100.0), held=True)
        case "computes":
            return gpu(index, used=rng.randint(8, 80), use=rng.uniform(10.0, 100.0), held=True)
        case "holds":
            return gpu(index, used=rng.randint(8, 80), use=0.0, held=True)
        case _:
            return gpu(index)


def _gpus_of(held: Lease) -> tuple[str, ...]:
    return () if isinstance(held.allocation, Unknown) else held.allocation.gpus


MEASUREMENTS = (Measurement("gpus", "how often a job lands on a node with a free GPU, over 200 states", gpu_states),)
