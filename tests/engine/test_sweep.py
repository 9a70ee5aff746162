"""A sweep ends with an answer or a reason for every node, whatever nodes do."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from clbalance.engine.sweep import ask, send_probes, sweep, take_snapshot
from clbalance.errors import StoreError
from clbalance.model import Cause, Measured, NodeName, Reading, RunQueue, Silent, Snapshot, Unknown
from clbalance.policy.indices.samples import R1M_PER_CPU
from clbalance.policy.placement.quorum import ANY_NODE, GRACE_S
from clbalance.ports import Remembered
from clbalance.probe.frame import MAX_LINES
from clbalance.store.in_memory import InMemoryStore
from tests.scripted import HangUp

from .services import Notes, answer, probed, world_of

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")


def loads(snapshot: Snapshot) -> dict[str, float | str]:
    parsed: dict[str, float | str] = {}
    for one in snapshot.answers:
        match one:
            case Measured(node=node, reading=Reading(run_queue=RunQueue(r1m=r1m))):
                parsed[node] = r1m
            case Silent(node=node, cause=cause):
                parsed[node] = cause.value
    return parsed


def test_every_node_is_answered_for_in_the_order_asked() -> None:
    services = world_of({"a": probed(1.5), "b": probed(0.25), "c": lambda _: []})
    snapshot = take_snapshot(services, [C, A, B])
    assert [one.node for one in snapshot.answers] == [C, A, B]
    assert loads(snapshot) == {"c": "timed out", "a": 1.5, "b": 0.25}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        pytest.param(lambda _: [HangUp(Cause.AUTH, "Permission denied")], Cause.AUTH, id="a refusal keeps its cause"),
        pytest.param(
            lambda _: [b"not", b"ours", HangUp(Cause.NO_SHELL, "no")], Cause.NO_SHELL, id="noise is no answer"
        ),
        pytest.param(lambda _: [b"x"] * (MAX_LINES + 1), Cause.GARBLED, id="endless noise is garbled"),
        pytest.param(lambda _: answer(b"0" * 32, 0.1), Cause.LOST, id="another nonce's answer is no answer"),
    ],
)
def test_a_node_that_does_not_answer_is_silent_with_its_cause(node: object, message: Cause) -> None:
    services = world_of({"a": node, "b": probed()})  # type: ignore[dict-item]
    assert loads(take_snapshot(services, [A, B])) == {"a": message.value, "b": 0.5}


def test_a_name_that_cannot_be_resolved_is_silent() -> None:
    assert loads(take_snapshot(world_of({}), [A])) == {"a": Cause.DNS.value}


def test_the_listener_is_told_of_each_node_once_and_of_the_end() -> None:
    services = world_of({"a": probed(), "b": lambda _: []})
    take_snapshot(services, [A, B])
    assert isinstance(services.listener, Notes)
    assert (services.listener.total, sorted(services.listener.answered_nodes), services.listener.finished) == (
        2,
        [A, B],
        1,
    )


def test_while_a_node_hangs_the_listener_hears_each_second_who_is_awaited() -> None:
    services = world_of({"a": probed(), "b": lambda _: []})
    take_snapshot(services, [A, B])
    assert isinstance(services.listener, Notes)
    assert services.listener.awaited.count({B}) >= services.answer_within_s - 1


def test_sessions_are_kept_open_only_as_many_as_asked_for() -> None:
    services = world_of({name: probed() for name in "abc"})
    with services.transport.sessions() as sessions:
        sweep(services, sessions, [A, B, C], keep_open=2)
        assert len(sessions.open_nodes()) == 2


def test_rates_are_unknown_at_first_and_known_from_the_second_sweep_on() -> None:
    ticks = iter([(100, 1000), (400, 1600)])

    def node(text: bytes) -> Sequence[bytes | HangUp]:
        busy, total = next(ticks)
        lines = probed()(text)
        return [
            line.replace(b"100 0 100 800", b"%d 0 0 %d" % (busy, total - busy)) if isinstance(line, bytes) else line
            for line in lines
        ]

    services = world_of({"a": node})
    (first,) = take_snapshot(services, [A]).answers
    services.transport.clock_s += 60.0  # type: ignore[attr-defined]
    (second,) = take_snapshot(services, [A]).answers
    assert isinstance(first, Measured)
    assert isinstance(first.rates, Unknown)
    assert isinstance(second, Measured)
    assert not isinstance(second.rates, Unknown)
    assert second.rates.ut_pct == pytest.approx(50.0)


def test_who_asks_several_times_a_second_still_learns_rates() -> None:
    ticks = iter(range(100, 200, 10))

    def node(text: bytes) -> Sequence[bytes | HangUp]:
        busy = next(ticks)
        lines = probed()(text)
        return [
            line.replace(b"100 0 100 800", b"%d 0 0 1000" % busy) if isinstance(line, bytes) else line for line in lines
        ]

    services = world_of({"a": node})
    parts = []
    for _ in range(4):
        (answer,) = take_snapshot(services, [A]).answers
        assert isinstance(answer, Measured)
        parts.append(not isinstance(answer.rates, Unknown))
        services.transport.clock_s += 0.4  # type: ignore[attr-defined]
    assert parts == [False, False, False, True]


class BrokenStore(InMemoryStore):
    """Every access fails, as on a full disk."""

    def last_readings(self, nodes: Sequence[NodeName]) -> dict[NodeName, Remembered]:
        raise StoreError("database is locked")

    def remember(
        self,
        at: datetime,
        readings: object,
        samples: object = None,
        past: object = None,
        *,
        came_at: object = None,
        answers: object = None,
    ) -> None:
        raise StoreError("database or disk is full")


def test_a_store_that_fails_costs_the_memory_and_not_the_sweep() -> None:
    services = world_of({"a": probed(0.5)}, store=BrokenStore())
    assert loads(take_snapshot(services, [A])) == {"a": 0.5}
    assert isinstance(services.listener, Notes)
    assert services.listener.forgotten == ["database is locked", "database or disk is full"]


def test_a_sweep_knows_what_the_sweeps_before_it_saw() -> None:
    services = world_of({"a": probed(2.0)})
    counts = []
    for _ in range(3):
        (answer,) = take_snapshot(services, [A]).answers
        assert isinstance(answer, Measured)
        counts.append(answer.trends[R1M_PER_CPU].count if answer.trends else 0)
        services.transport.clock_s += 300.0  # type: ignore[attr-defined]
    assert counts == [0, 1, 2]
    assert answer.trends[R1M_PER_CPU].mean == pytest.approx(0.5)


def test_what_was_seen_before_a_boot_is_not_held_against_a_node() -> None:
    boots = iter(["518f4b64-bf6a-4c54-9224-61ba82540703", "618f4b64-bf6a-4c54-9224-61ba82540703"])

    def node(text: bytes) -> Sequence[bytes | HangUp]:
        boot = next(boots).encode()
        lines = [line for line in probed()(text) if isinstance(line, bytes)]
        return [re.sub(rb"boot_id:.*", b"boot_id:" + boot, line) for line in lines]

    services = world_of({"a": node})
    take_snapshot(services, [A])
    services.transport.clock_s += 300.0  # type: ignore[attr-defined]
    (answer,) = take_snapshot(services, [A]).answers
    assert isinstance(answer, Measured)
    assert answer.trends == {}


def test_a_sweep_adds_to_history_also_that_a_node_was_silent() -> None:
    services = world_of({"a": probed(2.0), "b": lambda _: [HangUp(Cause.HUNG, "no answer")]})
    take_snapshot(services, [A, B])
    now = services.clock.now()
    parsed = services.store.history([A, B], now - timedelta(minutes=5), now)
    assert [(point.asked, point.silent) for point in parsed[A]] == [(1, 0)]
    assert parsed[A][0].values["r1m_per_cpu"].mean == pytest.approx(0.5)
    assert [(point.asked, point.silent, point.values) for point in parsed[B]] == [(1, 1, {})]


def suspects(snapshot: Snapshot) -> dict[str, str]:
    return {one.node: one.suspect for one in snapshot.answers}


def test_a_node_that_fails_three_sweeps_is_suspect_until_it_has_answered_two() -> None:
    well = False
    services = world_of({"a": lambda text: probed()(text) if well else [HangUp(Cause.REFUSED, "no")], "b": probed()})
    for failed in (1, 2, 3):
        services.clock.pause(6.0)
        parsed = suspects(take_snapshot(services, [A, B]))
        assert (bool(parsed["a"]), parsed["b"]) == (failed == 3, "")
    well = True
    assert suspects(take_snapshot(services, [A, B])) == {"a": "3 probes in a row failed; answered 1 of 2", "b": ""}
    assert suspects(take_snapshot(services, [A, B])) == {"a": "", "b": ""}


def test_without_a_memory_nothing_is_suspect_and_the_sweep_goes_on() -> None:
    class NoStrains(InMemoryStore):
        def save_failure_streaks(self, at: datetime, streaks: object) -> None:
            raise StoreError("disk full")

    services = world_of({"a": lambda _: [HangUp(Cause.REFUSED, "no")], "b": probed()}, store=NoStrains())
    for _ in range(4):
        services.clock.pause(6.0)
        assert suspects(take_snapshot(services, [A, B])) == {"a": "", "b": ""}
    assert isinstance(services.listener, Notes)
    assert services.listener.forgotten == ["disk full"] * 4


def test_a_node_that_is_asked_after_a_wait_for_others_is_awaited() -> None:
    late = NodeName("late")
    services = world_of({"a": probed(1.5), "b": lambda _: [], "c": probed(2.5), "late": probed(0.5)})
    unasked = {late: Silent(node=late, cause=Cause.NOT_ASKED, reason="others will do")}
    with services.transport.sessions() as sessions:
        asked = ask(services, sessions, [A, B, C, late], unasked=unasked)
        asked.listen(ANY_NODE)
        assert services.clock.monotonic() == pytest.approx(GRACE_S)
        asked.add(send_probes(services, sessions, [late], last=True))
        asked.listen(ANY_NODE)
        assert loads(asked.snapshot()) == {"a": 1.5, "b": Cause.NOT_AWAITED.value, "c": 2.5, "late": 0.5}
