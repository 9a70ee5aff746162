"""Nodes with labels, taints and devices of several kinds, and requests that wish for them."""

from dataclasses import replace
from random import Random

from clbalance.model import Allocation, Gpu, Lease, Measured, Plan, Request, Snapshot, Unknown
from clbalance.model.request import Constraints
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST, Policy

from .build import NOW, SHE, gpu, node

GIB = 2**30


def labelled(name: str, *taints: str, r1m: float = 0.0, cpus: int = 4, **labels: str) -> Measured:
    """An idle node of which the settings say so much."""
    return replace(node(name, r1m=r1m, cpus=cpus), labels=labels, taints=frozenset(taints))


def card(
    index: int = 0,
    model: str = "A100",
    *,
    mem: int = 40 * GIB,
    used: int = 0,
    use: float | None = 0.0,
    cuda: str = "12.4",
    driver: str = "550.54.15",
) -> Gpu:
    """A device with memory in bytes."""
    made = gpu(index, use=use)
    return replace(
        made, model=model, mem_total_bytes=mem, mem_used_bytes=used, cuda_version=cuda, driver_version=driver
    )


def with_cards(name: str, *cards: Gpu) -> Measured:
    """A node with these devices."""
    return node(name, gpus=cards)


def mixed(name: str, *models: str) -> Measured:
    """A node with a device of each model."""
    return with_cards(name, *(card(index, model) for index, model in enumerate(models)))


def with_jobs(answer: Measured, *names: str) -> Measured:
    """The node with a lease of nothing for each of these jobs."""
    allocations = (Allocation(name=name) for name in names)
    leases = tuple(
        Lease(key=f"k{number}", attempt=1, uid=SHE, allocation=one) for number, one in enumerate(allocations)
    )
    return replace(answer, reading=replace(answer.reading, leases=leases))


def without_gpus_known(name: str) -> Measured:
    """One whose tool hung."""
    answer = node(name)
    return replace(answer, reading=replace(answer.reading, gpus=Unknown(reason="`nvidia-smi` timed out")))


def wished(
    snapshot: Snapshot,
    *,
    pick: int | None = 1,
    gpus: int = 0,
    cpus: float = 1.0,
    name: str = "",
    seed: int = 1,
    policy: Policy = LEAST,
    constraints: Constraints | None = None,
    **wishes: object,
) -> Plan:
    """The plan for a request with these fields of `Constraints`."""
    asked = constraints or Constraints(**wishes)  # type: ignore[arg-type]  # a test's own words
    return place(
        snapshot,
        Request(pick=pick, gpus=gpus, cpus=cpus, name=name, constraints=asked),
        policy,
        NOW,
        Random(seed),
    )


def why(plan: Plan) -> dict[str, str]:
    """The reason of each node that is not fit."""
    return {one.node: one.reason for one in plan.unfit}
