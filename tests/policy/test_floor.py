"""However many drain at once, and however their steps fall between each other: never too few nodes are left."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Measured, NodeName, Proposal
from clbalance.policy.drain_progress import (
    AboveMinAvailable,
    BelowMinAvailable,
    NodeAvailability,
    Undecided,
    availability_of,
    decide_drain,
    min_available_of,
)

from .build import ME, NOW, SHE, drain, node, silent

A, B, C = (Proposal(at=NOW + timedelta(seconds=at), key=key * 32) for at, key in enumerate("abc"))
NAMES = tuple(NodeName(f"n{at}") for at in range(6))
TOTAL = len(NAMES)


# -- what one sweep comes to ----------------------------------------------------------------------


def pool(**parsed: Proposal | str) -> list[NodeAvailability]:
    """Six nodes; of those named, why they are out, or what is proposed of them."""
    return [
        NodeAvailability(
            node=name,
            unavailable=parsed[name] if isinstance(parsed.get(name), str) else "",  # type: ignore[arg-type]  # just told apart
            proposals=tuple(one for one in [parsed.get(name)] if isinstance(one, Proposal)),
        )
        for name in NAMES
    ]


def drained(*names: str) -> list[NodeAvailability]:
    """Six nodes, those that are named drained before."""
    return [
        NodeAvailability(node=n, unavailable="drained: x", is_drained=True) if n in names else NodeAvailability(node=n)
        for n in NAMES
    ]


def verdict_of(standings: list[NodeAvailability], wanted: str, min_available: int) -> object:
    return decide_drain(standings, [NodeName(name) for name in wanted.split()], min_available, B)


@pytest.mark.parametrize(
    ("standings", "wanted", "min_available", "verdict"),
    [
        pytest.param(pool(), "n0 n1", 4, AboveMinAvailable(left=4), id="as many as there must be"),
        pytest.param(pool(), "n0 n1", 5, BelowMinAvailable(left=4, unavailable={}), id="one fewer"),
        pytest.param(
            pool(), "n0 elsewhere", 5, AboveMinAvailable(left=5), id="a node of another pool takes none of this"
        ),
        pytest.param(
            pool(n0="drained: x", n1="unknown: y"), "n0", 4, AboveMinAvailable(left=4), id="out once, whoever says so"
        ),
        pytest.param(
            pool(n5="suspect: x"),
            "n0",
            5,
            BelowMinAvailable(left=4, unavailable={NodeName("n5"): "suspect: x"}),
            id="told why",
        ),
        pytest.param(
            pool(n5=A),
            "n0",
            5,
            BelowMinAvailable(left=4, unavailable={NodeName("n5"): "proposed before"}),
            id="the later withdraws",
        ),
        pytest.param(pool(n5=C), "n0", 5, Undecided(nodes=(NodeName("n5"),)), id="the earlier waits for its end"),
        pytest.param(pool(n5=C), "n0", 4, AboveMinAvailable(left=4), id="enough for both"),
        pytest.param(pool(n5=B), "n0", 5, AboveMinAvailable(left=5), id="our own proposal is nobody else's"),
        pytest.param(
            pool(n4="drained: x", n5=C),
            "n0",
            5,
            BelowMinAvailable(left=4, unavailable={NodeName("n4"): "drained: x"}),
            id="firmly gone",
        ),
        pytest.param(
            drained("n0", "n1"), "n0", 5, AboveMinAvailable(left=4), id="drained before: nothing is taken away"
        ),
        pytest.param(
            drained("n0", "n1"),
            "n0 n2",
            5,
            BelowMinAvailable(left=3, unavailable={NodeName("n1"): "drained: x"}),
            id="one of them was not",
        ),
        pytest.param(
            drained("n1", "n2"),
            "elsewhere",
            5,
            BelowMinAvailable(left=4, unavailable={NodeName("n1"): "drained: x", NodeName("n2"): "drained: x"}),
            id="there are too few, whoever asks",
        ),
        pytest.param(
            pool(n0="suspect: x", n1="drained: x"),
            "n0",
            5,
            BelowMinAvailable(left=4, unavailable={NodeName("n1"): "drained: x"}),
            id="a suspect may come back",
        ),
    ],
)
def test_a_verdict(standings: list[NodeAvailability], wanted: str, min_available: int, verdict: object) -> None:
    assert verdict_of(standings, wanted, min_available) == verdict


def proposed(*, uid: int = SHE, binds_all: bool = True) -> Measured:
    return node("n", drains=(replace(drain(uid=uid, binds_all=binds_all), proposal=A),))


@pytest.mark.parametrize(
    ("answer", "out", "proposals"),
    [
        pytest.param(node("n", r1m=99.0), "", (), id="a busy node is there"),
        pytest.param(node("n", drains=(drain(),)), "drained: disk (by alice)", (), id="a drained one is not"),
        pytest.param(node("n", drains=(drain(uid=SHE, binds_all=False),)), "", (), id="unless that binds others only"),
        pytest.param(node("n", drains=None), "drain marks unknown: not told", (), id="unknown marks may be there"),
        pytest.param(silent("n"), "unknown: hung: no answer in 5 s", (), id="a silent one is unknown"),
        pytest.param(proposed(), "", (A,), id="a proposal"),
        pytest.param(proposed(uid=ME, binds_all=False), "", (A,), id="our own from elsewhere"),
        pytest.param(proposed(binds_all=False), "", (), id="that binds others only"),
    ],
)
def test_a_node_stands(answer: object, out: str, proposals: tuple[Proposal, ...]) -> None:
    message = NodeAvailability(
        node=NodeName("n"), unavailable=out, is_drained=out.startswith("drained: "), proposals=proposals
    )
    assert availability_of(answer, NOW) == message  # type: ignore[arg-type]


def test_a_suspect_is_not_there() -> None:
    answer = node("n")
    assert availability_of(replace(answer, suspect="x"), NOW).unavailable == "suspect: x"


@pytest.mark.parametrize(
    ("number", "is_pct", "size", "min_available"),
    [(3, False, 8, 3), (80, True, 8, 7), (50, True, 8, 4), (0, True, 8, 0)],
)
def test_a_share_is_rounded_up(number: float, is_pct: bool, size: int, min_available: int) -> None:
    assert min_available_of(number, is_pct=is_pct, pool=size) == min_available


# -- many at once ---------------------------------------------------------------------------------


@dataclass
class Cluster:
    """What lies on the nodes: by node and key, a proposal, or None once it is firm."""

    unknown: frozenset[NodeName] = frozenset()
    marks: dict[NodeName, dict[str, Proposal | None]] = field(default_factory=lambda: {name: {} for name in NAMES})
    passed: list[Proposal] = field(default_factory=list)

    def read(self, name: NodeName) -> NodeAvailability:
        marks = self.marks[name].values()
        firm = "drained" if None in marks else "unknown" if name in self.unknown else ""
        proposals = tuple(one for one in marks if one is not None)
        return NodeAvailability(node=name, unavailable=firm, is_drained=firm == "drained", proposals=proposals)

    @property
    def left(self) -> int:
        return sum(None not in self.marks[name].values() for name in NAMES if name not in self.unknown)

    def lapse(self, mine: Proposal) -> None:
        """Of who died before it became firm."""
        for marks in self.marks.values():
            if marks.get(mine.key):
                del marks[mine.key]


def steps_of(cluster: Cluster, wanted: frozenset[NodeName], min_available: int, mine: Proposal) -> Iterator[None]:
    """One drain; a step is one file on one node, written or read."""
    for name in sorted(wanted):
        cluster.marks[name][mine.key] = mine
        yield
    verdict: object = Undecided(nodes=())
    while isinstance(verdict, Undecided):
        seen = []
        for name in NAMES:
            seen.append(cluster.read(name))
            yield
        verdict = decide_drain(seen, wanted, min_available, mine)
    for name in sorted(wanted):
        if isinstance(verdict, AboveMinAvailable):
            cluster.marks[name][mine.key] = None
        else:
            del cluster.marks[name][mine.key]
        yield
    if isinstance(verdict, AboveMinAvailable):
        cluster.passed.append(mine)


SETS = st.frozensets(st.sampled_from(NAMES), min_size=1, max_size=4)
SCHEDULE = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 12)), max_size=30).map(
    lambda runs: [who for who, steps in runs for _ in range(steps)]
)
"""Whose turn it is: some go far before others begin, or halt between any two steps."""


@settings(max_examples=400, deadline=None)
@given(st.lists(SETS, min_size=2, max_size=4), st.permutations(range(4)), SCHEDULE, st.integers(0, 2), SETS, st.data())
def test_there_are_never_too_few(
    wanted: list[frozenset[NodeName]],
    order: list[int],
    schedule: list[int],
    more: int,
    unknown: frozenset[NodeName],
    data: st.DataObject,
) -> None:
    cluster = Cluster(unknown=unknown if data.draw(st.booleans()) else frozenset())
    before = cluster.left
    min_available = min(TOTAL, before - max(map(len, wanted)) + more)  # where one passes, and rarely another beside it
    mine = [Proposal(at=NOW + timedelta(seconds=order[at]), key=f"{at:032x}") for at in range(len(wanted))]
    drains = {at: steps_of(cluster, wanted[at], min_available, mine[at]) for at in range(len(wanted))}
    deaths = data.draw(st.dictionaries(st.integers(0, 119), st.integers(0, 3), max_size=2))
    dead: list[int] = []
    for step, at in enumerate([*schedule, *[turn % 4 for turn in range(4000)]]):
        if deaths.get(step) in drains:
            dead.append(deaths[step])
            del drains[deaths[step]]
        if at in drains and next(drains[at], drains) is drains:
            del drains[at]
        if step == 400:
            for one in dead:
                cluster.lapse(mine[one])
        assert cluster.left >= min(min_available, before)
        if not drains and step > 400:
            break
    assert not drains, "somebody waits for ever"


@given(SETS, SETS, st.integers(0, TOTAL), SCHEDULE, st.booleans())
def test_of_two_that_cannot_both_pass_one_does_and_it_is_the_earlier_where_they_see_each_other(
    first: frozenset[NodeName], second: frozenset[NodeName], min_available: int, schedule: list[int], together: bool
) -> None:
    cluster = Cluster()
    drains = [steps_of(cluster, first, min_available, A), steps_of(cluster, second, min_available, B)]
    if together:  # both have written before either looks
        for one, wanted in zip(drains, (first, second), strict=True):
            for _ in wanted:
                next(one)
    for at in [*[turn % 2 for turn in schedule], *[turn % 2 for turn in range(400)]]:
        next(drains[at], None)
    both = TOTAL - len(first | second) >= min_available
    alone = [one for one, wanted in ((A, first), (B, second)) if TOTAL - len(wanted) >= min_available]
    if both:
        assert sorted(cluster.passed, key=lambda one: one.at) == [A, B]
    elif len(alone) == 2 and together:
        assert cluster.passed == [A]
    else:
        assert len(cluster.passed) <= 1
        assert cluster.passed or len(alone) < 2  # who could not pass alone may have been in the way


@given(st.lists(SETS, min_size=2, max_size=4), SCHEDULE)
def test_they_never_all_withdraw_for_each_other(wanted: list[frozenset[NodeName]], schedule: list[int]) -> None:
    min_available = TOTAL - max(len(one) for one in wanted)
    cluster = Cluster()
    mine = [Proposal(at=NOW, key=f"{at:032x}") for at in range(len(wanted))]
    drains = [steps_of(cluster, one, min_available, key) for one, key in zip(wanted, mine, strict=True)]
    for turn in [*schedule, *range(4000)]:
        next(drains[turn % len(drains)], None)
    assert cluster.passed
