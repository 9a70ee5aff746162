"""Nodes that are connected to before it is known what they will be asked."""

import random

import psutil

from clbalance.engine.kept.pool import KeptTimes
from clbalance.engine.kept.transport import KeptTransport
from clbalance.model import Cause, NodeName
from clbalance.policy.kept_sessions import KeptLimits
from clbalance.ports import Closed, Line
from clbalance.transport.reach import SshTransport
from clbalance.wiring.context import SystemClock
from tests.waiting import eventually

ONE, OTHER = NodeName("one"), NodeName("other")


def local(fanout: int = 64) -> SshTransport:
    """Both nodes are this machine."""
    return SshTransport(here=frozenset({ONE, OTHER}), fanout=fanout)


def kept(transport: SshTransport) -> KeptTransport:
    times = KeptTimes(begin_within_s=60.0, answer_within_s=60.0)
    return KeptTransport(transport, clock=SystemClock(), rng=random.Random(1), times=times, limits=KeptLimits())


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_node_answers_in_the_session_that_was_begun() -> None:
    transport = local()
    with transport.connecting([ONE, OTHER]), transport.sessions() as sessions:
        assert sessions.open_nodes() == frozenset()
        sessions.open(ONE, within_s=60)
        sessions.send(ONE, b"echo up; exec sleep 1000\n")
        assert sessions.next(60) == Line(node=ONE, text=b"up")
        assert sessions.open_nodes() == {ONE}


def test_only_the_first_sessions_were_begun() -> None:
    transport = local()
    with transport.connecting([ONE]):
        assert transport.as_user("somebody").sessions() is not transport.begun[0]
        begun = transport.begun[0]
        assert transport.sessions() is begun
        assert transport.sessions() is not begun
    with transport.connecting([ONE]):
        pass
    assert not transport.begun


def test_nothing_is_left_of_what_was_begun() -> None:
    before = children()
    transport = local()
    with transport.connecting([ONE, OTHER]):
        pass
    with transport.connecting([ONE, OTHER]), transport.sessions() as sessions:
        sessions.open(ONE, within_s=60)
    assert eventually(lambda: children() <= before)


def test_a_begun_node_that_was_closed_before_is_connected_to_anew() -> None:
    transport = local()
    with transport.connecting([ONE]), transport.sessions() as sessions:
        sessions.close(ONE)
        sessions.open(ONE, within_s=60)
        sessions.send(ONE, b"echo up; exec sleep 1000\n")
        assert sessions.next(60) == Line(node=ONE, text=b"up")


def test_kept_sessions_take_over_what_was_begun() -> None:
    before, transport = children(), local()
    with transport.connecting([ONE]):
        assert eventually(lambda: bool(children() - before))
        begun = children()
        with kept(transport) as keeping, keeping.sessions() as sessions:
            sessions.open(ONE, within_s=60)
            sessions.send(ONE, b"echo $$\n")
            said = sessions.next(60)
    assert isinstance(said, Line)
    assert int(said.text) in begun


def test_the_failure_of_a_begun_node_is_told_once_it_is_opened() -> None:
    transport = SshTransport(path="false", here=frozenset({ONE}))
    with transport.connecting([ONE, OTHER]), transport.sessions() as sessions:
        assert sessions.next(0.5) is None  # nobody asks for what comes so early, if anything does
        sessions.open(OTHER, within_s=60)
        assert isinstance(sessions.next(60), Closed)


def test_a_deadline_begins_when_the_node_is_opened_and_connected_to() -> None:
    transport = local(fanout=1)
    with transport.connecting([ONE, OTHER]), transport.sessions() as sessions:
        for node in (ONE, OTHER):
            sessions.open(node, within_s=0.1)
            sessions.send(node, b"exec sleep 1000\n")
        ended = [sessions.next(60), sessions.next(60)]
    assert [(type(one), one.node, one.cause) for one in ended if isinstance(one, Closed)] == [
        (Closed, ONE, Cause.TIMEOUT),
        (Closed, OTHER, Cause.TIMEOUT),
    ]


def test_where_connections_are_shared_none_is_begun() -> None:
    with (transport := SshTransport(here=frozenset({ONE}), keep_s=60)).connecting([ONE]):
        assert not transport.begun
