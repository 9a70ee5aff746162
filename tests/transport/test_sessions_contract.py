"""One contract for every way to nodes: scripted, this machine, and real OpenSSH servers."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from clbalance.engine.kept.pool import KeptTimes
from clbalance.engine.kept.transport import KeptTransport
from clbalance.model import Cause, NodeName
from clbalance.policy.kept_sessions import KeptLimits
from clbalance.ports import Closed, Line, SessionEvent, Sessions, Transport
from clbalance.transport.reach import SshTransport
from clbalance.wiring.context import SystemClock
from tests.kept_connections import kept_in_a_folder
from tests.scripted import HangUp, ScriptedTransport


@dataclass
class Place:
    """A transport, three of its nodes, and the longest that anything may take."""

    transport: Transport
    nodes: tuple[NodeName, NodeName, NodeName]


def scripted_shell(text: bytes) -> list[bytes | HangUp]:
    """As much of a shell as the contract speaks."""
    answers: list[bytes | HangUp] = []
    for line in text.splitlines():
        word, _, rest = line.partition(b" ")
        if word == b"echo":
            answers.append(rest)
        elif word == b"exit":
            answers.append(HangUp(Cause.LOST, "ended"))
    return answers


def keeping(inner: Transport) -> KeptTransport:
    times = KeptTimes(begin_within_s=60.0, answer_within_s=60.0)
    return KeptTransport(inner, clock=SystemClock(), rng=random.Random(1), times=times, limits=KeptLimits())


@pytest.fixture(
    params=["scripted", "local", "held", *(pytest.param(way, marks=pytest.mark.sshd) for way in ("ssh", "kept"))]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    names = (NodeName("node1"), NodeName("node2"), NodeName("node3"))
    match request.param:
        case "scripted":
            yield Place(ScriptedTransport(dict.fromkeys(names, scripted_shell)), names)
        case "local":
            yield Place(SshTransport(here=frozenset(names)), names)
        case "held":
            with keeping(SshTransport(here=frozenset(names))) as transport:
                yield Place(transport, names)
        case "kept":
            lab = request.getfixturevalue("lab")
            with kept_in_a_folder() as base:
                request.getfixturevalue("monkeypatch").setenv("XDG_RUNTIME_DIR", str(base))
                yield Place(SshTransport(options=lab.ssh_options, connect_timeout_s=60.0, keep_s=60.0), names)
        case _:
            lab = request.getfixturevalue("lab")
            yield Place(SshTransport(options=lab.ssh_options, connect_timeout_s=60.0), names)


def events(sessions: Sessions, enough: Callable[[list[SessionEvent]], bool]) -> list[SessionEvent]:
    found: list[SessionEvent] = []
    end = time.monotonic() + 100
    while not enough(found) and time.monotonic() < end:
        event = sessions.next(1.0)
        if event is not None:
            found.append(event)
    assert enough(found), found
    return found


def of(kind: type, count: int) -> Callable[[list[SessionEvent]], bool]:
    return lambda found: sum(isinstance(event, kind) for event in found) >= count


def test_every_node_answers_for_itself(place: Place) -> None:
    with place.transport.sessions() as sessions:
        for node in place.nodes:
            sessions.open(node, within_s=60)
            sessions.send(node, f"echo I am {node}\n".encode())
        found = events(sessions, of(Line, 3))
    assert {(e.node, e.text) for e in found if isinstance(e, Line)} == {
        (node, f"I am {node}".encode()) for node in place.nodes
    }


def test_a_session_stays_open_for_the_next_question(place: Place) -> None:
    node = place.nodes[0]
    with place.transport.sessions() as sessions:
        sessions.open(node, within_s=60)
        for word in (b"one", b"two", b"three"):
            sessions.send(node, b"echo " + word + b"\n")
            assert events(sessions, of(Line, 1)) == [Line(node=node, text=word)]
        assert sessions.open_nodes() == {node}


def test_a_node_that_ends_its_session_is_closed_exactly_once(place: Place) -> None:
    node, other, _ = place.nodes
    with place.transport.sessions() as sessions:
        for one in (node, other):
            sessions.open(one, within_s=60)
        sessions.send(node, b"echo last\nexit 0\n")
        found = events(sessions, of(Closed, 1))
        assert [type(event) for event in found] == [Line, Closed]
        assert found[1].node == node
        assert sessions.open_nodes() == {other}
        assert sessions.next(0.3) is None


def test_the_end_of_input_ends_a_shell(place: Place) -> None:
    node = place.nodes[0]
    with place.transport.sessions() as sessions:
        sessions.open(node, within_s=60)
        sessions.send(node, b"echo all\n", last=True)
        found = events(sessions, of(Closed, 1))
    assert found[0] == Line(node=node, text=b"all")


def test_a_silent_node_meets_its_deadline_and_delays_nobody(place: Place) -> None:
    silent, talking, _ = place.nodes
    with place.transport.sessions() as sessions:
        sessions.open(silent, within_s=1.5)
        sessions.open(talking, within_s=60)
        sessions.send(silent, b"sleep 600\n")
        sessions.send(talking, b"echo here\n")
        found = events(sessions, lambda found: len(found) >= 2)
    assert Line(node=talking, text=b"here") in found
    (closed,) = (event for event in found if isinstance(event, Closed))
    assert (closed.node, closed.cause) == (silent, Cause.TIMEOUT)


def test_a_lifted_deadline_is_no_deadline(place: Place) -> None:
    node = place.nodes[0]
    with place.transport.sessions() as sessions:
        sessions.open(node, within_s=60)
        sessions.send(node, b"echo up\n")
        events(sessions, of(Line, 1))
        sessions.set_deadline(node, 3.0)
        sessions.set_deadline(node, None)
        assert sessions.next(3.3) is None
        sessions.send(node, b"echo still\n")
        assert events(sessions, of(Line, 1)) == [Line(node=node, text=b"still")]


def test_a_closed_node_is_not_heard_of_again(place: Place) -> None:
    node, other, _ = place.nodes
    with place.transport.sessions() as sessions:
        for one in (node, other):
            sessions.open(one, within_s=60)
        sessions.close(node)
        sessions.send(node, b"echo lost\n")
        sessions.send(other, b"echo kept\n")
        assert events(sessions, of(Line, 1)) == [Line(node=other, text=b"kept")]
        assert sessions.next(0.3) is None
        assert sessions.open_nodes() == {other}


def test_a_node_may_be_opened_again(place: Place) -> None:
    node = place.nodes[0]
    with place.transport.sessions() as sessions:
        sessions.open(node, within_s=60)
        sessions.close(node)
        sessions.open(node, within_s=60)
        sessions.send(node, b"echo again\n")
        assert events(sessions, of(Line, 1)) == [Line(node=node, text=b"again")]


def test_a_node_that_is_open_may_be_opened_anew(place: Place) -> None:
    node = place.nodes[0]
    with place.transport.sessions() as sessions:
        sessions.open(node, within_s=60)
        sessions.send(node, b"echo old\n")
        assert events(sessions, of(Line, 1)) == [Line(node=node, text=b"old")]
        sessions.open(node, within_s=60)
        sessions.send(node, b"echo new\n")
        assert events(sessions, of(Line, 1)) == [Line(node=node, text=b"new")]


def test_a_node_opened_again_is_not_told_what_was_said_before(place: Place) -> None:
    node = place.nodes[0]
    with place.transport.sessions() as sessions:
        sessions.open(node, within_s=60)
        sessions.send(node, b"echo old\n")
        time.sleep(0.5)  # unheard, it waits to be taken
        sessions.close(node)
        sessions.open(node, within_s=60)
        sessions.send(node, b"echo new\n")
        assert events(sessions, of(Line, 1)) == [Line(node=node, text=b"new")]


def test_two_sets_of_sessions_follow_each_other(place: Place) -> None:
    for word in (b"first", b"second"):
        with place.transport.sessions() as sessions:
            sessions.open(place.nodes[0], within_s=60)
            sessions.send(place.nodes[0], b"echo " + word + b"\n")
            assert events(sessions, of(Line, 1)) == [Line(node=place.nodes[0], text=word)]


def test_a_wait_can_be_ended_from_another_thread(place: Place) -> None:
    with place.transport.sessions() as sessions:
        sessions.open(place.nodes[0], within_s=60)
        waker = threading.Thread(target=sessions.wake)
        waker.start()
        assert sessions.next(50.0) is None  # pytest's limit is not reached
        waker.join()
