"""Temporary space: what is free now, less all that leases promise of it."""

from dataclasses import replace

import pytest

from clbalance.model import Allocation, Lease, Measured, Request, TmpSpace, Unknown
from clbalance.policy.placement.capacity import asks_for_nothing, insufficient_resource
from clbalance.policy.placement.charge import allocation_for
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import LEAST
from tests.policy.build import lease, node

G = 2**30


def with_tmp(free_gib: float | None, *promised_gib: float) -> Measured:
    tmp = (
        Unknown(reason="df hung")
        if free_gib is None
        else TmpSpace(path="/scratch", total_bytes=100 * G, free_bytes=int(free_gib * G))
    )
    leases = tuple(_lease(size) for size in promised_gib)
    answer = node("n", leases=leases)
    return replace(answer, reading=replace(answer.reading, tmp=tmp))


def _lease(gib: float) -> Lease:
    one = lease(age_s=1e6)
    assert isinstance(one.allocation, Allocation)
    return replace(one, allocation=replace(one.allocation, tmp_bytes=int(gib * G)))


def load_of(answer: Measured) -> NodeLoad:
    load = effective_load(answer)
    assert isinstance(load, NodeLoad)
    return load


@pytest.mark.parametrize(
    ("answer", "asked_gib", "reason"),
    [
        pytest.param(with_tmp(10), 10, None, id="all that is free may be had"),
        pytest.param(with_tmp(9.5), 10, "too little temporary space", id="and no more"),
        pytest.param(with_tmp(30, 12, 9), 10, "too little temporary space", id="old promises count whole"),
        pytest.param(with_tmp(31, 12, 9), 10, None, id="what is left beside them may be had"),
        pytest.param(with_tmp(5, 12), 10, "too little temporary space", id="more may be promised than is left"),
        pytest.param(with_tmp(None), 1, "temporary space unknown", id="unknown is never free"),
        pytest.param(with_tmp(None), 0, None, id="who asks for none does not care"),
    ],
)
def test_temporary_space(answer: Measured, asked_gib: float, reason: str | None) -> None:
    found = insufficient_resource(load_of(answer), Request(tmp_bytes=int(asked_gib * G)))
    assert (found and found.reason) == reason
    if found and reason == "too little temporary space":
        assert (found.filter, "in /scratch free" in found.detail) == ("tmp", True)


def test_what_is_placed_counts_at_once() -> None:
    request = Request(cpus=0, tmp_bytes=6 * G)
    assert not asks_for_nothing(request)
    answer = with_tmp(10)
    taken = replace(answer, placed=(allocation_for(request, answer, LEAST),))
    assert insufficient_resource(load_of(answer), request) is None
    assert insufficient_resource(load_of(taken), request) is not None
