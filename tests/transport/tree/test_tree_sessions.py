"""Which nodes are asked directly although there are gateways. What goes through these is in `test_gateways`."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from ClusterShell.Topology import TopologyTree

from clbalance.model import NodeName
from clbalance.transport.tree.question import GatewaySettings
from clbalance.transport.tree.sessions import TreeSessions
from clbalance.transport.tree.topology import Routes
from tests.scripted import ScriptedSessions, ScriptedTransport
from tests.waiting import eventually

BEHIND, OTHER = NodeName("behind"), NodeName("other")


@pytest.fixture
def transport() -> ScriptedTransport:
    return ScriptedTransport({BEHIND: lambda _: [], OTHER: lambda _: []})


def unusable_gateways(*behind: NodeName) -> GatewaySettings:
    """The end of each question is told at once."""
    return GatewaySettings(
        routes=Routes(TopologyTree(), frozenset(behind)),
        argv=lambda *_: ["false"],
        python="python3",
        info={},
        connect_timeout_s=1.0,
    )


@pytest.fixture
def sessions(transport: ScriptedTransport) -> Iterator[TreeSessions]:
    with TreeSessions(transport.sessions(), unusable_gateways(BEHIND)) as opened:
        for node in (BEHIND, OTHER):
            opened.open(node, within_s=1.0)
        yield opened


def test_a_node_without_a_route_is_asked_directly(transport: ScriptedTransport, sessions: TreeSessions) -> None:
    sessions.send(OTHER, b"question", last=True)
    assert transport.sent == {OTHER: [b"question"]}


def test_a_conversation_goes_directly(transport: ScriptedTransport, sessions: TreeSessions) -> None:
    sessions.send(BEHIND, b"first")
    sessions.send(BEHIND, b"last", last=True)
    assert transport.sent == {BEHIND: [b"first", b"last"]}


def test_what_is_sent_behind_a_question_makes_it_a_conversation(
    transport: ScriptedTransport, sessions: TreeSessions
) -> None:
    sessions.send(BEHIND, b"question ", last=True)
    assert transport.sent == {}
    sessions.send(BEHIND, b"and more")
    assert transport.sent == {BEHIND: [b"question and more"]}


def test_a_conversation_ends_when_its_node_is_opened_anew(transport: ScriptedTransport, sessions: TreeSessions) -> None:
    sessions.send(BEHIND, b"first")
    sessions.open(BEHIND, within_s=1.0)
    sessions.send(BEHIND, b"question", last=True)
    assert transport.sent == {BEHIND: [b"first"]}
    sessions.close(BEHIND)
    assert sessions.open_nodes() == {OTHER}


class CountingSessions(ScriptedSessions):
    """They count how often they were woken."""

    woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_who_listens_is_woken_once_for_all_that_came_meanwhile() -> None:
    nodes = [NodeName(f"n{number}") for number in range(500)]
    direct = CountingSessions(ScriptedTransport({}))
    with TreeSessions(direct, unusable_gateways(*nodes)) as sessions:
        for node in nodes:
            sessions.open(node, within_s=1.0)
            sessions.send(node, b"question", last=True)
        first = sessions.next(0.0)  # asks
        assert eventually(lambda: all(one.name != "clbalance-gateways" for one in threading.enumerate()))
        events = [first, *(sessions.next(0.0) for _ in nodes)]
        assert {event.node for event in events if event is not None} == set(nodes)
        assert direct.woken <= 2


def test_a_node_is_open_until_it_is_closed(sessions: TreeSessions) -> None:
    assert (sessions.open_nodes(), sessions.open_count()) == ({BEHIND, OTHER}, 2)
    for node in (BEHIND, OTHER):
        sessions.close(node)
    assert (sessions.open_nodes(), sessions.open_count()) == (set(), 0)


def test_clustershell_has_its_tree_mode_only_once_it_is_wanted() -> None:
    program = (
        "import sys, clbalance.transport.session_loop, ClusterShell.Task as task\n"
        "assert task.TreeWorker is None and 'ClusterShell.Worker.Tree' not in sys.modules\n"
        "from clbalance.transport.clustershell_task import with_tree_mode\n"
        "with_tree_mode()\n"
        "from ClusterShell.Worker.Tree import TreeWorker\n"
        "sys.exit(task.TreeWorker is not TreeWorker or task.PropagationChannel is None)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
