"""Who is started does not change by what the room of the queue remembers, instead of asking every node again."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Measured, NodeName, Request, RunQueue, Snapshot
from clbalance.model.request import UNCONSTRAINED, Constraints
from clbalance.policy.placement.policies import policy_named
from clbalance.policy.queue.free_capacity import Leased, QueueCapacity, Taken, only_on, without_lease
from clbalance.policy.queue.queues import FreeCapacity, PlannedStart, QueuedJob, Running, first_fit, with_backfill
from tests.policy.build import NOW, node, sweep
from tests.policy.placement.test_place import patient

from .test_start import NODES, NONE, mine

NOW_S = NOW.timestamp()
POLICIES = {name: policy_named(name, thresholds=NONE) for name in ("least", "pack")}


class RoomAnew(QueueCapacity):
    """Every node is asked again after each end."""

    def release(self, held: Taken) -> None:
        if not isinstance(held, Leased):
            super().release(held)
            return
        self._answers = [without_lease(answer, held.key) for answer in self._answers]
        self._boards = {}


def backfill_anew(
    queue: Sequence[QueuedJob], running: Sequence[Running[Taken]], room: FreeCapacity[Taken]
) -> list[PlannedStart[Taken]]:
    """EASY by the book: of every head the first end after which it fits is looked for, one after the other."""
    runs, started, left = list(running), list[PlannedStart[Taken]](), list(queue)
    while left:
        first = first_fit(left, room)
        started += first
        runs += [Running(one.held, one.job.expected_end_s(NOW_S)) for one in first]
        head, left = left[len(first) : len(first) + 1], left[len(first) + 1 :]
        fitting = [one for one in left if room.fits(one.request)]
        if not fitting:
            break
        then, ends = room.copy(), [max(run.ends_s, NOW_S) for run in runs]
        for end in sorted(set(ends)):
            for run in runs:
                if max(run.ends_s, NOW_S) == end:
                    then.release(run.held)
            if then.fits(head[0].request):
                return started + _passing(fitting, head[0], end, then, room)
    return started


def _passing(
    behind: Sequence[QueuedJob], head: QueuedJob, shadow_s: float, then: FreeCapacity[Taken], room: FreeCapacity[Taken]
) -> list[PlannedStart[Taken]]:
    started: list[PlannedStart[Taken]] = []
    for one in behind:
        held = room.place(one.request)
        if held is None:
            continue
        if not one.expected_end_s(NOW_S) <= shadow_s < float("inf"):
            then.hold(held)
            if not then.fits(head.request):
                then.release(held)
                room.release(held)
                continue
        started.append(PlannedStart(one, held))
    return started


WISHES = st.sampled_from([UNCONSTRAINED, UNCONSTRAINED, Constraints(where="r1m > 0.4")])
"""The last of what an end may take away."""


@st.composite
def waiting_on(draw: st.DrawFn, snapshot: Snapshot) -> list[QueuedJob]:
    names = [answer.node for answer in snapshot.answers]
    return [
        QueuedJob(
            key=key,
            request=only_on(
                Request(
                    cpus=draw(st.sampled_from([0.5, 1.0, 2.0, 4.0, 8.0, 64.0])),
                    pick=draw(st.sampled_from([1, 1, 2])),
                    constraints=draw(WISHES),
                ),
                draw(st.lists(st.sampled_from(names), min_size=1, unique=True)),
                snapshot,
                draw(st.sampled_from(sorted(POLICIES))),
            ),
            since_s=NOW_S,
            estimate_s=draw(st.sampled_from([None, 60.0, 150.0])),
        )
        for key in range(draw(st.integers(2, 8)))
    ]


@st.composite
def queues(draw: st.DrawFn) -> tuple[Snapshot, list[QueuedJob], list[Running[Taken]]]:
    """Leases of one job on two nodes among them; some end at one time, in the past, or nobody knows when."""
    nodes = draw(NODES)
    both = [replace(one, reading=replace(one.reading, leases=(*_leases(one), mine("both", 1.0)))) for one in nodes[:2]]
    snapshot = sweep(*both, *nodes[2:])
    keys = sorted({lease.key for one in (*both, *nodes[2:]) for lease in _leases(one)})
    ends = st.sampled_from([NOW_S - 5.0, NOW_S - 1.0, NOW_S + 50.0, NOW_S + 50.0, NOW_S + 100.0, float("inf")])
    running: list[Running[Taken]] = [Running(Leased(key=key), draw(ends)) for key in [*keys, "nowhere"]]
    return snapshot, draw(waiting_on(snapshot)), running


def _leases(one: Measured) -> tuple[object, ...]:
    return one.reading.leases if isinstance(one.reading.leases, tuple) else ()


@settings(patient, max_examples=150)
@given(queues(), st.integers(0, 3))
def test_who_is_started_and_where_is_what_a_look_at_every_node_after_each_end_gives(
    queue: tuple[Snapshot, list[QueuedJob], list[Running[Taken]]], seed: int
) -> None:
    snapshot, waiting, running = queue
    room, anew = (kind(snapshot, POLICIES, NOW, Random(seed)) for kind in (QueueCapacity, RoomAnew))
    assert with_backfill(waiting, running, room, NOW_S) == backfill_anew(waiting, running, anew)
    assert set(room.charged().answers) == set(anew.charged().answers)


def test_an_end_is_seen_by_every_policy_under_what_was_placed_meanwhile() -> None:
    snapshot = sweep(node("n1", r1m=3.0, leases=(mine("x", 2.0), mine("y", 1.0))), node("n2", cpus=1))
    room = QueueCapacity(snapshot, POLICIES, NOW, Random(1))
    asked = {by: only_on(Request(cpus=2.0), [NodeName("n1")], snapshot, by) for by in POLICIES}
    held = room.place(replace(asked["pack"], cpus=0.5))
    assert held is not None
    assert not any(room.fits(one) for one in asked.values())
    room.release(Leased(key="x"))
    assert all(room.fits(one) for one in asked.values())
    room.release(held)
    (left,) = (one for one in room.charged().answers if one.node == "n1")
    assert isinstance(left, Measured)
    assert isinstance(left.reading.run_queue, RunQueue)
    assert (left.placed, left.reading.run_queue.r1m < 1.1) == ((), True)
