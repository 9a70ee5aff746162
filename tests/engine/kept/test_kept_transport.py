"""One process asks again and again: without a login, and without waiting for sick nodes."""

import random
import signal
from collections.abc import Sequence
from dataclasses import replace

import pytest

from clbalance.engine.kept.pool import KeptTimes
from clbalance.engine.kept.transport import KeptTransport
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import Interrupted
from clbalance.model import Cause, NodeName
from clbalance.policy.kept_sessions import KeptLimits
from clbalance.ports import Closed, Line, SessionEvent
from tests.engine.services import TransportClock, probed, slowly, world_of
from tests.engine.test_sweep import loads
from tests.scripted import HangUp, Later, ScriptedNode, ScriptedSessions, ScriptedTransport

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")


def echo(text: bytes) -> list[bytes | HangUp]:
    """As much of a shell as a session needs that begins in the background."""
    return [line.removeprefix(b"echo ") for line in text.splitlines() if line.startswith(b"echo ")]


def kept(
    services: Services, limits: KeptLimits | None = None, least_s: float | None = None
) -> tuple[KeptTransport, ScriptedTransport, Services]:
    inner = services.transport
    assert isinstance(inner, ScriptedTransport)
    times = KeptTimes(begin_within_s=15.0, answer_within_s=5.0, least_s=least_s)
    transport = KeptTransport(
        inner, clock=TransportClock(inner), rng=random.Random(1), times=times, limits=limits or KeptLimits()
    )
    return transport, inner, replace(services, transport=transport)


class Changing:
    """A node that can be broken and repaired."""

    def __init__(self, node: ScriptedNode) -> None:
        self.node = node

    def __call__(self, text: bytes) -> Sequence[object]:
        return self.node(text)


def test_the_second_round_needs_no_login() -> None:
    transport, inner, services = kept(world_of({"a": probed(0.5), "b": probed(1.5)}))
    with transport:
        for _ in range(3):
            assert loads(take_snapshot(services, [A, B])) == {"a": 0.5, "b": 1.5}
        assert inner.opened == [A, B]
        assert transport.count == 2
        inner.connected = frozenset({C})
        with transport.sessions() as further:
            assert further.connected() == {A, B, C}
    assert transport.count == 0


def test_a_frozen_node_delays_one_round_by_the_time_for_an_answer_and_then_none() -> None:
    node = Changing(probed(0.5, after=echo))
    transport, inner, services = kept(world_of({"a": node, "b": probed(1.5)}))  # type: ignore[dict-item]
    with transport:
        take_snapshot(services, [A, B])
        node.node = lambda _: []
        frozen_at_s = inner.clock_s
        assert loads(take_snapshot(services, [A, B])) == {"a": "timed out", "b": 1.5}
        assert inner.clock_s - frozen_at_s == pytest.approx(5.0)
        later_s = inner.clock_s
        for _ in range(3):
            assert loads(take_snapshot(services, [A, B])) == {"a": "timed out", "b": 1.5}
        assert inner.clock_s == later_s


def test_where_rounds_must_be_quick_a_node_that_was_quick_is_not_waited_for_longer() -> None:
    """However long its login took."""
    node = Changing(slowly(probed(0.5, after=echo), 3.0))
    transport, inner, services = kept(world_of({"a": node, "b": probed(1.5)}), least_s=1.0)  # type: ignore[dict-item]
    with transport:
        take_snapshot(services, [A, B])
        node.node = probed(0.5, after=echo)
        take_snapshot(services, [A, B])
        node.node = lambda _: []
        frozen_at_s = inner.clock_s
        assert loads(take_snapshot(services, [A, B])) == {"a": "timed out", "b": 1.5}
        assert inner.clock_s - frozen_at_s == pytest.approx(1.0)


def test_a_node_that_has_become_slow_is_not_given_up_in_each_round() -> None:
    node = Changing(probed(0.5, after=echo))
    transport, _, services = kept(world_of({"a": node}), least_s=1.0)  # type: ignore[dict-item]
    with transport:
        for _ in range(2):  # the first one begins with a login
            take_snapshot(services, [A])
        node.node = slowly(node.node, 3.0)
        assert loads(take_snapshot(services, [A])) == {"a": "timed out"}
        transport.rest(KeptLimits().most_wait_s)
        for _ in range(3):
            assert loads(take_snapshot(services, [A])) == {"a": 0.5}


@pytest.mark.parametrize(("usual_s", "given_s"), [(None, 5.0), (0.02, 1.0), (0.5, 2.0), (3.0, 5.0)])
def test_a_slow_node_has_its_time(usual_s: float | None, given_s: float) -> None:
    times = KeptTimes(begin_within_s=15.0, answer_within_s=5.0, least_s=1.0)
    assert times.answer_s(usual_s) == given_s


def test_a_node_that_comes_back_is_asked_again_without_anybody_waiting_for_it() -> None:
    node = Changing(lambda _: [HangUp(Cause.REFUSED, "Connection refused")])
    transport, inner, services = kept(world_of({"a": node, "b": probed(1.5)}))  # type: ignore[dict-item]
    with transport:
        assert loads(take_snapshot(services, [A, B])) == {"a": "connection refused", "b": 1.5}
        node.node = probed(0.5, after=echo)
        transport.rest(KeptLimits().most_wait_s + 1.0)
        began_at_s = inner.clock_s
        assert loads(take_snapshot(services, [A, B])) == {"a": 0.5, "b": 1.5}
        assert inner.clock_s == began_at_s


def test_a_node_that_stays_away_is_not_tried_all_the_time() -> None:
    transport, inner, services = kept(world_of({"a": lambda _: [HangUp(Cause.REFUSED, "Connection refused")]}))
    with transport:
        take_snapshot(services, [A])
        for _ in range(100):
            transport.rest(1.0)
            take_snapshot(services, [A])
        assert 100 / KeptLimits().most_wait_s <= len(inner.opened) <= 2 * 100 / KeptLimits().most_wait_s + 6


def test_a_refused_login_is_not_repeated_behind_the_users_back() -> None:
    transport, inner, services = kept(world_of({"a": lambda _: [HangUp(Cause.AUTH, "Permission denied")]}))
    with transport:
        assert loads(take_snapshot(services, [A])) == {"a": "authentication failed"}
        transport.rest(500.0)
        assert inner.opened == [A]
        assert loads(take_snapshot(services, [A])) == {"a": "authentication failed"}
        assert inner.opened == [A, A]


def test_a_session_that_ends_between_two_rounds_is_begun_again_before_the_next() -> None:
    transport, inner, services = kept(world_of({"a": probed(0.5, after=echo)}))
    with transport:
        take_snapshot(services, [A])
        hang_up(transport, A)
        transport.rest(1.0)
        assert inner.opened == [A, A]
        assert loads(take_snapshot(services, [A])) == {"a": 0.5}
        assert inner.opened == [A, A]


def hang_up(transport: KeptTransport, node: NodeName) -> None:
    underneath = transport._pool.open_sessions
    underneath._hang_up(node, HangUp(Cause.LOST, "Connection closed"))  # type: ignore[attr-defined]


def test_a_node_that_speaks_unasked_is_closed_and_tried_later() -> None:
    flood = [b"x" * 1000] * 100
    transport, inner, services = kept(world_of({"a": lambda text: [*probed(0.5)(text), *flood]}))
    with transport:
        assert loads(take_snapshot(services, [A])) == {"a": 0.5}
        transport.rest(0.5)
        assert transport.count == 0
        assert loads(take_snapshot(services, [A])) == {"a": "garbled answer"}
        assert inner.opened == [A]


def test_nobody_waits_longer_because_a_session_that_is_not_in_use_speaks() -> None:
    nodes: dict[str, ScriptedNode] = {"a": lambda _: [], "b": lambda _: [b"answer", Later(0.75, b"noise")]}
    transport, inner, _ = kept(world_of(nodes))
    with transport, transport.sessions() as sessions:
        sessions.open(B, within_s=60.0)
        sessions.send(B, b"question")
        assert sessions.next(60.0) == Line(node=B, text=b"answer")
        sessions.release(B)
        sessions.open(A, within_s=60.0)
        began_s = inner.clock_s
        assert sessions.next(1.0) is None
        assert inner.clock_s - began_s == pytest.approx(1.0)


def test_there_are_never_more_sessions_than_the_limit() -> None:
    transport, inner, services = kept(world_of({name: probed(0.5) for name in ("a", "b", "c")}), KeptLimits(most=2))
    with transport:
        for nodes in ([A], [B], [C], [A, B], [A, B, C]):
            assert loads(take_snapshot(services, nodes)) == dict.fromkeys(nodes, 0.5)
            assert transport.count <= 2
        assert inner.opened[:4] == [A, B, C, A]  # A was used least recently when C came


def test_rounds_over_more_nodes_than_are_kept_log_in_for_the_others_only() -> None:
    transport, inner, services = kept(world_of({name: probed(0.5) for name in ("a", "b", "c")}), KeptLimits(most=2))
    with transport:
        for rounds in range(1, 5):
            assert loads(take_snapshot(services, [A, B, C])) == {"a": 0.5, "b": 0.5, "c": 0.5}
            assert (len(inner.opened), transport.count) == (2 + rounds, 2)


def test_no_session_is_begun_in_the_background_while_others_are_waited_for() -> None:
    transport, inner, _ = kept(world_of({"a": echo, "b": echo}))
    with transport:
        with transport.sessions() as sessions:
            for node in (A, B):
                sessions.open(node, within_s=15.0)
            sessions.close(A)
            assert sessions.next(5.0) is None
            assert inner.opened == [A, B]
        transport.rest(1.0)
        assert sorted(inner.opened) == [A, A, B, B]


def test_an_unused_session_is_closed() -> None:
    transport, _, services = kept(world_of({"a": probed(0.5, after=echo)}), KeptLimits(idle_s=60.0))
    with transport:
        take_snapshot(services, [A])
        transport.rest(59.0)
        assert transport.count == 1
        transport.rest(2.0)
        assert transport.count == 0


def test_what_is_not_given_back_is_closed_and_begun_anew() -> None:
    transport, inner, _ = kept(world_of({"a": echo, "b": echo}))
    with transport:
        with transport.sessions() as sessions:
            for node in (A, B):
                sessions.open(node, within_s=15.0)
                sessions.send(node, b"echo x\n")
            assert {sessions.next(1.0), sessions.next(1.0)} == {Line(node=A, text=b"x"), Line(node=B, text=b"x")}
            sessions.release(A)
        assert transport.count == 1
        transport.rest(1.0)
        assert inner.opened == [A, B, B]


def test_an_agent_that_ends_is_no_failure() -> None:
    transport, _, _ = kept(world_of({"a": echo}))
    with transport, transport.sessions() as sessions:
        sessions.open(A, within_s=15.0)
        sessions.send(A, b"echo x\n", last=True)
        assert sessions.next(1.0) == Line(node=A, text=b"x")
        assert isinstance(sessions.next(1.0), Closed)
        sessions.open(A, within_s=15.0)
        sessions.send(A, b"echo y\n")
        told = [sessions.next(1.0), sessions.next(1.0)]
        assert Line(node=A, text=b"y") in told


def test_more_nodes_than_are_kept_may_be_in_use() -> None:
    transport, inner, services = kept(world_of({name: probed(0.5) for name in ("a", "b", "c")}), KeptLimits(most=2))
    with transport:
        assert loads(take_snapshot(services, [A, B, C], look_twice=True)) == {"a": 0.5, "b": 0.5, "c": 0.5}
        assert transport.count == 2
        assert inner.opened == [A, B, C]


class Signalled(ScriptedTransport):
    """A signal comes during one call of its sessions."""

    def sessions(self) -> "SignalledSessions":
        return SignalledSessions(self)


class SignalledSessions(ScriptedSessions):
    comes_in = ""

    def close(self, node: NodeName, *, fault: str = "") -> None:
        super().close(node, fault=fault)
        self._signal("close")

    def next(self, timeout_s: float) -> SessionEvent | None:
        event = super().next(timeout_s)
        self._signal("next")
        return event

    def open_nodes(self) -> frozenset[NodeName]:
        self._signal("open_nodes")
        return super().open_nodes()

    def _signal(self, called: str) -> None:
        if self.comes_in == called:
            self.comes_in = ""
            raise Interrupted(signal.SIGINT)


def signalled(transport: KeptTransport, comes_in: str) -> None:
    underneath = transport._pool.open_sessions
    assert isinstance(underneath, SignalledSessions)
    underneath.comes_in = comes_in


def test_a_signal_at_the_end_of_a_use_leaves_no_session_to_the_next_one() -> None:
    inner = Signalled({A: echo})
    transport, _, _ = kept(world_of({}, transport=inner))
    with transport:
        sessions = transport.sessions().__enter__()
        sessions.open(A, within_s=15.0)
        signalled(transport, "close")
        with pytest.raises(Interrupted):
            sessions.__exit__(None, None, None)
        assert transport.count == 0
        assert transport.sessions().keeps


@pytest.mark.parametrize("comes_in", ["next", "open_nodes"])
def test_a_signal_at_the_beginning_of_a_use_leaves_the_sessions_to_the_next_one(comes_in: str) -> None:
    inner = Signalled({A: probed(0.5)})
    transport, _, services = kept(world_of({}, transport=inner))
    with transport:
        take_snapshot(services, [A])
        signalled(transport, comes_in)
        with pytest.raises(Interrupted):
            transport.sessions().__enter__()
        assert loads(take_snapshot(services, [A])) == {"a": 0.5}
        assert inner.opened == [A]


def test_a_session_whose_end_was_lost_to_a_signal_is_begun_again() -> None:
    inner = Signalled({A: probed(0.5, after=echo)})
    transport, _, services = kept(world_of({}, transport=inner))
    with transport:
        take_snapshot(services, [A])
        hang_up(transport, A)
        signalled(transport, "next")
        with pytest.raises(Interrupted):
            transport.rest(1.0)
        assert loads(take_snapshot(services, [A])) == {"a": 0.5}
        assert inner.opened == [A, A]


def test_a_second_set_of_sessions_at_the_same_time_has_its_own() -> None:
    transport, inner, _ = kept(world_of({"a": echo}))
    with transport, transport.sessions() as first, transport.sessions() as second:
        for sessions, word in ((first, b"1"), (second, b"2")):
            sessions.open(A, within_s=15.0)
            sessions.send(A, b"echo " + word + b"\n")
        assert first.next(1.0) == Line(node=A, text=b"1")
        assert second.next(1.0) == Line(node=A, text=b"2")
        assert inner.opened == [A, A]
