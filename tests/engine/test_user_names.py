"""Users that this host does not know are looked up on their nodes; nobody else is asked anything."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from clbalance.engine.user_names import names_on_nodes, users_on
from clbalance.model import Cause, GpuProcess, NodeName, Silent, Snapshot, Unknown
from tests.render.build import LEASED, UNREADABLE, gpu, measured
from tests.scripted import HangUp, ScriptedNode, ScriptedTransport

from .services import world_of

SHE, HE = LEASED.uid, UNREADABLE.uid
A, B = NodeName("a"), NodeName("b")


def script(uids: frozenset[int]) -> str:
    return f"names @NONCE@ {sorted(uids)}"


def knows(*lines: str) -> ScriptedNode:
    def node(text: bytes) -> list[bytes | HangUp]:
        asked = re.fullmatch(rb"names ([0-9a-f]{32}) .*\n", text)
        assert asked is not None
        told = [b"begin", b"+ names", *(f"\0{line}".encode() for line in lines), b"- names 0", b"end"]
        return [line[1:] if line.startswith(b"\0") else asked[1] + b" " + line for line in told]

    return node


def names(nodes: dict[str, ScriptedNode], known: frozenset[int] = frozenset()) -> tuple[object, list[NodeName]]:
    services = world_of(nodes)
    answers = (
        measured("a", leases=[LEASED]),
        measured("b", leases=[UNREADABLE]),
        Silent(node=NodeName("c"), cause=Cause.HUNG, reason="x"),
        measured("d"),
    )
    found = names_on_nodes(
        services, Snapshot(taken_at=datetime(2026, 1, 1, tzinfo=UTC), answers=answers), script, known
    )
    assert isinstance(services.transport, ScriptedTransport)
    return found, list(services.transport.sent)


def test_each_node_is_asked_for_its_own_unknown_users() -> None:
    found, asked = names({"a": knows(f"alice:x:{SHE}:"), "b": knows(f"bob:x:{HE}:", f"alice:x:{SHE}:")})
    assert found == {A: {SHE: "alice"}, B: {HE: "bob"}}
    assert sorted(asked) == [A, B]


def test_a_node_with_known_users_only_is_not_asked() -> None:
    assert names({"b": knows(f"bob:x:{HE}:")}, frozenset({SHE})) == ({B: {HE: "bob"}}, [B])
    assert names({}, frozenset({SHE, HE})) == ({}, [])


def test_a_node_that_does_not_answer_costs_its_own_names() -> None:
    found, _ = names({"a": lambda _: [HangUp(Cause.LOST, "gone")], "b": knows(f"bob:x:{HE}:")})
    assert found == {B: {HE: "bob"}}
    assert names({"a": lambda _: [], "b": lambda _: []})[0] == {}


def test_owners_of_leases_and_of_gpu_processes_are_users() -> None:
    held = gpu(1, holder="x")
    assert not isinstance(held.processes, Unknown)
    theirs = GpuProcess(pid=1, name="x", mem_bytes=1, uid=1003)
    device = replace(held, processes=(*held.processes, theirs))
    assert users_on(measured("a", gpus=[device], leases=[LEASED])) == {SHE, 1003}
    assert users_on(measured("a", gpus=Unknown(reason="x"), leases=Unknown(reason="x"))) == frozenset()
