"""Where gateways ask, each node is asked once, and no session is kept for what comes next."""

from dataclasses import replace

from clbalance.engine.sweep import sweep, take_snapshot
from clbalance.model import Measured, NodeName
from tests.scripted import ScriptedNode, ScriptedSessions, ScriptedTransport

from .services import answer, world_of

A, B = NodeName("a"), NodeName("b")


class GatewaySessions(ScriptedSessions):
    """As if gateways asked."""

    through_gateways = True


class GatewayTransport(ScriptedTransport):
    """Whose sessions go through gateways."""

    def sessions(self) -> GatewaySessions:
        return GatewaySessions(self)


def idle(text: bytes) -> list[bytes]:
    return answer(text.split()[1], 0.0)


NODES: dict[NodeName, ScriptedNode] = {A: idle, B: idle}


def test_nobody_looks_twice() -> None:
    services = replace(world_of({}), transport=GatewayTransport(NODES))
    snapshot = take_snapshot(services, [A, B], look_twice=True)
    assert all(isinstance(one, Measured) for one in snapshot.answers)
    assert isinstance(services.transport, GatewayTransport)
    assert [len(texts) for texts in services.transport.sent.values()] == [1, 1]


def test_no_session_is_kept_and_all_nodes_are_asked_alike() -> None:
    services = replace(world_of({}), transport=GatewayTransport(NODES))
    with services.transport.sessions() as sessions:
        sweep(services, sessions, [A, B], keep_open=2)
        assert sessions.open_nodes() == frozenset()
    assert isinstance(services.transport, GatewayTransport)
    assert services.transport.sent[A] == services.transport.sent[B]
