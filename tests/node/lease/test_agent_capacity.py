"""What a node can still promise: the formulas at their edges, and each refusal in its words. Pure."""

import math
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.node.agent.lease.capacity import (
    LackError,
    Measured,
    Wish,
    free_cpus,
    free_mem,
    grant,
    visible,
    visible_gpus,
)
from clbalance.node.agent.lease.files import Lease, parse_lease
from clbalance.node.agent.protocol import RefusedError
from clbalance.policy.placement import load as policy
from tests.node.agent_client import NOTHING
from tests.node.nodes import GIB, GOOD, GPUS, lease_text

NOBODY = 4_000_000_000
DEFAULTS = {"gpu_share": 1.0, "tmp_bytes": 0, "limit_cpus": None, "limit_mem_bytes": None, "cpu_ids": ""}


def lease(uid: int = 0, **changes: object) -> Lease:
    return Lease(uid, GOOD | DEFAULTS | changes)


def wish(cpu_capacity: float | None = None, slot_capacity: int | None = None, **asked: object) -> Wish:
    return Wish(NOTHING | asked, {"cpus": cpu_capacity, "slots": slot_capacity})


def node(
    cpus: int = 4, r1m: float = 0.0, uptime_s: float = 0.0, total_gib: float = 8, available_gib: float = 8
) -> Measured:
    return Measured(cpus, r1m, uptime_s, int(total_gib * GIB), int(available_gib * GIB))


WHOLE = Lease(0, None)

GRANTED: list[tuple[str, Wish, list[Lease], Measured]] = [
    ("all that is there", wish(cpus=4), [], node()),
    ("the rest beside a lease", wish(cpus=2.5), [lease(cpus=1.5)], node()),
    ("thirds that add up to one", wish(cpus=1 / 3, cpu_capacity=1), [lease(cpus=1 / 3)] * 2, node()),
    ("more than the kernel counts, where the client knows better", wish(cpus=6, cpu_capacity=8), [], node()),
    ("all of a node that is as idle as nodes are", wish(cpus=4), [], node(r1m=0.5)),
    ("beside a load that is the leases' own", wish(cpus=2), [lease(cpus=2)], node(r1m=2, uptime_s=6000)),
    ("no part of a full node", wish(slots=9, slot_capacity=1), [lease(cpus=4, slots=1)], node(r1m=99)),
    ("a lease without a slot on a node without slots", wish(cpus=1, slots=0, slot_capacity=0), [], node()),
    ("an exclusive node without leases, whoever loads it", wish(exclusive=True), [], node(r1m=99)),
    ("all that is available", wish(mem_bytes=3 * GIB), [], node(available_gib=3)),
    (
        "memory beside a lease that uses its own",
        wish(mem_bytes=GIB),
        [lease(mem_bytes=7 * GIB)],
        node(uptime_s=6000, available_gib=1),
    ),
    ("the last slot", wish(cpus=1, slots=2, slot_capacity=3), [lease(slots=1)], node()),
    ("where slots are not counted", wish(cpus=1, slots=99), [lease(slots=99)], node()),
]


@pytest.mark.parametrize(("wish", "leases", "node"), [case[1:] for case in GRANTED], ids=[case[0] for case in GRANTED])
def test_what_fits_is_granted(wish: Wish, leases: list[Lease], node: Measured) -> None:
    assert grant(wish, leases, node) == []


REFUSED: list[tuple[Wish, list[Lease], Measured, str, str]] = [
    (wish(cpus=4.001), [], node(), "cpus", "cpus: 4.001 requested, 4 of 4 free, 0 in use besides leases"),
    (
        wish(cpus=2),
        [lease(cpus=2), lease(NOBODY, cpus=0.5)],
        node(),
        "cpus",
        "cpus: 2 requested, 1.5 of 4 free, 0 in use besides leases; leased: root 2, uid 4000000000 0.5",
    ),
    (wish(cpus=1), [], node(r1m=4), "cpus", "cpus: 1 requested, 0.5 of 4 free, 3.5 in use besides leases"),
    (
        wish(cpus=1),
        [lease(cpus=2)],
        node(r1m=2.5),
        "cpus",
        "cpus: 1 requested, 0 of 4 free, 2 in use besides leases; leased: root 2",
    ),
    (wish(cpus=3, cpu_capacity=2), [], node(), "cpus", "cpus: 3 requested, 2 of 2 free, 0 in use besides leases"),
    (
        wish(mem_bytes=6 * GIB),
        [lease(mem_bytes=3 * GIB)],
        node(),
        "memory",
        "memory: 6 GiB requested, 5 GiB of 8 GiB free, 8 GiB available now; leased: root 3 GiB",
    ),
    (
        wish(mem_bytes=4 * GIB),
        [],
        node(available_gib=3),
        "memory",
        "memory: 4 GiB requested, 3 GiB of 8 GiB free, 3 GiB available now",
    ),
    (
        wish(gpu_count=2, gpu_candidates=GPUS[:3]),
        [lease(gpus=GPUS[1:3]), lease(NOBODY, gpus=[])],
        node(),
        "gpus",
        "GPUs: 2 requested, 1 of 3 candidates free; leased: root 2",
    ),
    (wish(gpu_count=1), [], node(), "gpus", "GPUs: 1 requested, 0 of 0 candidates free"),
    (wish(gpu_count=2, gpu_candidates=[GPUS[0]] * 2), [], node(), "gpus", "GPUs: 2 requested, 1 of 1 candidates free"),
    (
        wish(gpu_count=1, gpu_share=0.5, gpu_candidates=GPUS[:2]),
        [lease(gpus=GPUS[:1]), lease(NOBODY, gpus=GPUS[1:2], gpu_share=0.6)],
        node(),
        "gpus",
        "GPUs: 0.5 of one requested, free on none of 2 candidates; leased: root 1, uid 4000000000 0.6",
    ),
    (
        wish(gpu_count=1, gpu_candidates=GPUS[:1]),
        [lease(gpus=GPUS[:1], gpu_share=0.01)],
        node(),
        "gpus",
        "GPUs: 1 requested, 0 of 1 candidates free; leased: root 0.01",
    ),
    (
        wish(cpus=1, slots=2, slot_capacity=3),
        [lease(slots=1), lease(slots=1)],
        node(),
        "slots",
        "slots: 2 requested, 1 of 3 free; leased: root 2",
    ),
    (
        wish(exclusive=True),
        [lease(), lease()],
        node(),
        "exclusive",
        "--exclusive needs an empty node, leases held: 2; leased: root 2",
    ),
    (wish(), [lease(exclusive=True)], node(), "exclusive", "the whole node is taken; leased: root an exclusive lease"),
    (wish(), [WHOLE], node(), "exclusive", "the whole node is taken; leased: root a lease that cannot be read"),
    (
        wish(),
        [lease(cpus=4.1)],
        node(),
        "exclusive",
        "the whole node is taken; leased: root a lease of more than the node has",
    ),
    (
        wish(),
        [lease(mem_bytes=9 * GIB)],
        node(),
        "exclusive",
        "the whole node is taken; leased: root a lease of more than the node has",
    ),
    (
        wish(cpus=1),
        [lease(uid, cpus=0.5) for uid in range(NOBODY, NOBODY + 7)],
        node(),
        "cpus",
        "cpus: 1 requested, 0.5 of 4 free, 0 in use besides leases; leased: "
        + ", ".join(f"uid {uid} 0.5" for uid in range(NOBODY, NOBODY + 5))
        + " and 2 more",
    ),
]


@pytest.mark.parametrize(("wish", "leases", "node", "kind", "reason"), REFUSED, ids=[case[4][:60] for case in REFUSED])
def test_what_does_not_fit_is_refused_with_numbers_and_owners(
    wish: Wish, leases: list[Lease], node: Measured, kind: str, reason: str
) -> None:
    with pytest.raises(LackError) as caught:
        grant(wish, leases, node)
    refusal = caught.value.refusal()
    assert (refusal.kind, refusal.reason) == (kind, reason)


def test_gpus_are_granted_in_the_clients_order() -> None:
    order = [GPUS[5], GPUS[2], GPUS[7], GPUS[0]]
    assert grant(wish(gpu_count=2, gpu_candidates=order), [lease(gpus=[GPUS[2]])], node()) == [GPUS[5], GPUS[7]]


SHARE_GRANTED = [
    ("an empty device in the client's order", 0.5, [], GPUS[2]),
    ("the rest of one that is shared", 0.5, [lease(gpus=[GPUS[1]], gpu_share=0.5)], GPUS[1]),
    (
        "the fullest that has room, whatever the order",
        0.25,
        [lease(gpus=[GPUS[0]], gpu_share=0.5), lease(gpus=[GPUS[1]], gpu_share=0.7), lease(gpus=[GPUS[2]])],
        GPUS[1],
    ),
    ("the third third", 1 / 3, [lease(gpus=[GPUS[0]], gpu_share=1 / 3)] * 2, GPUS[0]),
    ("none that somebody has whole", 0.1, [lease(gpus=[GPUS[2], GPUS[1]])], GPUS[0]),
]


@pytest.mark.parametrize(
    ("share", "leases", "granted"), [case[1:] for case in SHARE_GRANTED], ids=[case[0] for case in SHARE_GRANTED]
)
def test_a_share_of_a_gpu_is_granted_on(share: float, leases: list[Lease], granted: str) -> None:
    order = [GPUS[2], GPUS[1], GPUS[0]]
    assert grant(wish(gpu_count=1, gpu_share=share, gpu_candidates=order), leases, node()) == [granted]


SHARES = st.one_of(st.just(1.0), st.sampled_from([0.1, 0.25, 1 / 3, 0.5]), st.floats(0.01, 0.99))
STEPS = st.lists(st.tuples(SHARES, st.permutations(GPUS[:3]), st.integers(0, 9)), max_size=40)


@given(STEPS)
def test_no_gpu_is_ever_promised_more_than_once(steps: list[tuple[float, list[str], int]]) -> None:
    """Over any sequence of admissions and releases; a whole one is nobody else's at all."""
    held: list[Lease] = []
    for share, order, released in steps:
        try:
            gpus = grant(wish(gpu_count=1, gpu_share=share, gpu_candidates=order), held, node())
        except LackError:
            del held[released : released + 1]
            continue
        held.append(lease(gpus=gpus, gpu_share=share))
        for gpu in GPUS[:3]:
            shares = [one.fields["gpu_share"] for one in held if one.fields and gpu in one.fields["gpus"]]
            assert sum(shares) <= 1 + 1e-9
            assert shares == [1.0] or 1.0 not in shares


ME = os.geteuid()
SEEN = [
    ("all of them where no job has leased any", {0: [], 1: []}, [lease(NOBODY), lease(ME)], {0: True, 1: True}),
    ("not one that another user has leased", {0: [], 1: []}, [lease(NOBODY, gpus=[GPUS[1]])], {0: True, 1: False}),
    (
        "nor one that another job of one's own has leased",
        {0: [], 1: []},
        [lease(ME, gpus=[GPUS[0]])],
        {0: False, 1: True},
    ),
    ("nor one of which a share is leased", {0: []}, [lease(NOBODY, gpus=[GPUS[0]], gpu_share=0.25)], {0: False}),
    ("one that only one's own processes use", {0: [os.getpid()]}, [], {0: True}),
    ("not one that another's process uses beside one's own", {0: [os.getpid(), 2**22 + 1]}, [], {0: False}),
    ("not one that an unknown process uses", {0: [0], 1: []}, [], {0: False, 1: True}),
]


@pytest.mark.parametrize(("offered", "leases", "seen"), [case[1:] for case in SEEN], ids=[case[0] for case in SEEN])
def test_a_job_without_gpus_sees(offered: dict[int, list[int]], leases: list[Lease], seen: dict[int, bool]) -> None:
    asked = wish(gpu_visible={GPUS[number]: pids for number, pids in offered.items()})
    assert visible_gpus(asked, leases) == {GPUS[number]: is_seen for number, is_seen in seen.items()}


def test_a_job_whose_view_is_not_restricted_sees_what_it_likes() -> None:
    assert visible_gpus(wish(), [lease(NOBODY, gpus=[GPUS[0]])]) is None


def test_no_gpus_asked_none_granted() -> None:
    assert grant(wish(cpus=1, gpu_candidates=GPUS), [], node()) == []


@pytest.mark.parametrize(
    ("age_s", "share"),
    [(0, 0.0), (60, 1 - math.exp(-1)), (6000, 1.0), (-500, 0.0)],
    ids=["new", "tau", "old", "from before a boot"],
)
def test_a_lease_comes_into_view_as_the_load_average_does(age_s: float, share: float) -> None:
    assert visible([lease(cpus=2.0, uptime_s=1000.0)], "cpus", 1000.0 + age_s) == pytest.approx(2 * share)


AMOUNTS = st.floats(0, 64)
LEASES = st.lists(
    st.builds(
        lambda cpus, mem, uptime_s: lease(cpus=cpus, mem_bytes=mem, uptime_s=uptime_s),
        AMOUNTS,
        st.integers(0, 8 * GIB),
        st.floats(0, 10_000),
    ),
    max_size=6,
)
NODES = st.builds(
    lambda cpus, r1m, uptime_s, available: Measured(cpus, r1m, uptime_s, 64 * GIB, available),
    st.integers(1, 64),
    AMOUNTS,
    st.floats(0, 20_000),
    st.integers(0, 64 * GIB),
)


@given(leases=LEASES, more=LEASES, node=NODES)
def test_more_leases_never_make_a_node_emptier(leases: list[Lease], more: list[Lease], node: Measured) -> None:
    assert free_cpus(node.cpus, leases + more, node) <= free_cpus(node.cpus, leases, node) + 1e-6
    assert free_mem(leases + more, node) <= free_mem(leases, node) + 1


@given(leases=LEASES, node=NODES)
def test_never_more_is_free_than_what_nobody_was_promised(leases: list[Lease], node: Measured) -> None:
    assert free_cpus(node.cpus, leases, node) <= node.cpus - sum(each.fields["cpus"] for each in leases if each.fields)
    assert free_mem(leases, node) <= node.mem_available


@given(leases=LEASES, node=NODES)
def test_placement_and_admission_count_alike(leases: list[Lease], node: Measured) -> None:
    parts = [each.fields for each in leases if each.fields is not None]
    shown_cpus, shown_mem = (visible(leases, field, node.uptime_s) for field in ("cpus", "mem_bytes"))
    ours = policy.free_cpus(
        capacity=node.cpus, r1m=node.r1m, allocated=sum(each["cpus"] for each in parts), reflected=shown_cpus
    )
    assert ours == pytest.approx(free_cpus(node.cpus, leases, node))
    ours = policy.free_mem_bytes(
        total=node.mem_total,
        available=node.mem_available,
        allocated=sum(each["mem_bytes"] for each in parts),
        reflected=shown_mem,
    )
    assert ours == pytest.approx(free_mem(leases, node))


@pytest.mark.parametrize(
    ("asked", "capacity", "reason"),
    [
        ({"cpus": -1}, {}, "lease: 'cpus' must be a number, 0 or more, not -1"),
        ({"cpus": float("nan")}, {}, "lease: 'cpus' must be a number, 0 or more, not nan"),
        ({"mem_bytes": -1}, {}, "lease: 'mem_bytes' must be a whole number, 0 or more, not -1"),
        ({"mem_bytes": 1.5}, {}, "lease: 'mem_bytes' must be a whole number, 0 or more, not 1.5"),
        ({"slots": True}, {}, "lease: 'slots' must be a whole number, 0 or more, not True"),
        ({"gpu_candidates": ["GPU-0,GPU-1"]}, {}, "lease: 'GPU-0,GPU-1' is no GPU's UUID"),
        ({"gpu_candidates": [0]}, {}, "lease: 0 is no GPU's UUID"),
        ({"gpu_visible": {"GPU-\0": []}}, {}, "lease: 'GPU-\\x00' is no GPU's UUID"),
        ({"gpu_visible": {GPUS[0]: "1"}}, {}, "lease: `gpu_visible` needs a list of pids, not '1'"),
        ({"gpu_visible": {GPUS[0]: [-1]}}, {}, "lease: `gpu_visible` needs a list of pids, not [-1]"),
        (
            {"gpu": 1},
            {},
            "lease has no field 'gpu'; it has cpus, exclusive, force, gpu_candidates, gpu_count, gpu_cpus, gpu_share, gpu_visible, limit_cpus, limit_mem_bytes, mem_bytes, name, slots, time_limit_s, tmp_bytes",
        ),
        *(
            (
                {"gpu_share": share, "gpu_count": count},
                {},
                f"lease: `gpu_share` is above 0 and at most 1, below 1 of one GPU; not {share:g} of {count}",
            )
            for share, count in ((0, 1), (1.5, 1), (0.5, 2), (0.5, 0))
        ),
        ({}, {"cpus": -1}, "capacity: 'cpus' must be a number, 0 or more, not -1"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_told_with_its_place(
    asked: dict[str, Any], capacity: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        Wish(NOTHING | asked, capacity)
    assert (caught.value.kind, caught.value.reason) == ("spec", reason)


UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "garbage": b"\xff\x00{",
    "a list": b"[]",
    "deep": b"[" * 1024,
    "longer than 1 KiB": lease_text(name="x" * 1024),
    "of a later version": lease_text(v=2),
    "without cpus": lease_text(cpus=None),
    "negative": lease_text(cpus=-1),
    "NaN": lease_text(cpus=float("nan")),
    "endless": lease_text(uptime_s=float("inf")),
    "huge": lease_text(mem_bytes=10**300),
    "half a slot": lease_text(slots=0.5),
    "a text for a flag": lease_text(exclusive="no"),
    "numbers for GPUs": lease_text(gpus=[0]),
    "no share of a GPU": lease_text(gpu_share=0),
    "more than a whole GPU": lease_text(gpu_share=1.01),
    "a text for a share": lease_text(gpu_share="0.5"),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_lease_that_cannot_be_read_is_the_whole_node(text: bytes) -> None:
    assert parse_lease(text) is None


def test_what_a_later_version_adds_to_a_lease_is_ignored() -> None:
    assert parse_lease(lease_text(colour="green")) == GOOD | DEFAULTS


@given(st.binary(max_size=1100))
def test_no_text_of_a_lease_breaks_its_reader(text: bytes) -> None:
    parse_lease(text)
