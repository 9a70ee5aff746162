"""Drain marks are asked for on every node; each answers for itself, and none waits for another."""

import json
from collections.abc import Mapping

from clbalance.engine.agent.protocol import encode
from clbalance.engine.drain import Marked, mark
from clbalance.model import NodeName
from tests.scripted import HangUp, ScriptedNode

from .services import ScriptedAgent, world_of

DRAIN = encode("drain", reason="disk", by="alice", until=None)
RESUME = encode("resume")
DRAINED = {"ev": "drained", "path": "/var/tmp/clbalance-0/drain"}


def agent(*answers: Mapping[str, object]) -> ScriptedAgent:
    """An agent that answers to either request so."""
    return ScriptedAgent(rules={op: lambda _: [dict(answer) for answer in answers] for op in ("drain", "resume")})


def marks(nodes: Mapping[str, ScriptedNode], request: bytes = DRAIN, *, asked: str = "") -> dict[str, Marked]:
    """What became of each node, in the order in which they were named."""
    names = asked.split() or list(nodes)
    found = mark(world_of(nodes), [NodeName(name) for name in names], request)
    return {one.node: one for one in found}


def test_every_node_is_sent_the_agent_and_the_request_and_nothing_else() -> None:
    nodes = {"a": agent(DRAINED), "b": agent(DRAINED)}
    assert [one.done for one in marks(nodes).values()] == [True, True]
    assert [node.heard for node in nodes.values()] == [[json.loads(DRAIN)]] * 2


def test_what_became_of_them_comes_in_the_order_in_which_they_were_named() -> None:
    nodes: dict[str, ScriptedNode] = {name: agent(DRAINED) for name in "abc"}
    assert list(marks(nodes, asked="c a b")) == ["c", "a", "b"]


def test_no_nodes_are_no_work() -> None:
    assert mark(world_of({}), [], DRAIN) == ()


def test_who_we_are_there_is_told_by_the_node() -> None:
    assert marks({"a": agent(DRAINED)})["a"].uid == 0


def test_a_mark_that_was_not_there_is_told_and_is_no_failure() -> None:
    found = marks({"a": agent({"ev": "resumed", "was": True}), "b": agent({"ev": "resumed", "was": False})}, RESUME)
    assert [(one.done, one.message) for one in found.values()] == [(True, ""), (True, "no mark of yours was there")]


def test_a_node_that_refuses_says_why() -> None:
    refused = {"ev": "refused", "job": "", "kind": "storage", "why": "No space left on device"}
    trouble = {"ev": "error", "why": "drain: too long"}
    found = marks({"a": agent(refused), "b": agent(trouble), "c": agent(DRAINED)})
    assert [(one.done, one.message) for one in found.values()] == [
        (False, "No space left on device"),
        (False, "drain: too long"),
        (True, ""),
    ]


def test_a_node_that_cannot_be_reached_is_not_marked_and_the_others_are() -> None:
    found = marks({"a": agent(DRAINED)}, asked="gone a")
    assert found["gone"] == Marked(
        node=NodeName("gone"), done=False, message="name not resolved: Could not resolve hostname gone"
    )
    assert found["a"].done


def test_a_node_that_falls_silent_ends_at_its_deadline_and_delays_nobody() -> None:
    quiet: dict[str, ScriptedNode] = {"silent": lambda _: [], "after hello": agent(), "a": agent(DRAINED)}
    services = world_of(quiet)
    found = mark(services, [NodeName(name) for name in quiet], DRAIN)
    assert [one.done for one in found] == [False, False, True]
    assert ["timed out" in one.message for one in found] == [True, True, False]
    assert services.clock.monotonic() <= services.answer_within_s + 1


def test_words_outside_the_frame_count_for_nothing() -> None:
    forged = b"\x1eCLB1 " + b"0" * 32 + b" " + json.dumps(DRAINED).encode()
    honest = agent({"ev": "refused", "job": "", "kind": "x", "why": "no"})

    def noisy(text: bytes) -> list[bytes | HangUp]:
        return [b"Welcome", forged, json.dumps(DRAINED).encode(), *honest(text)]

    assert marks({"a": noisy})["a"].message == "no"


def test_an_answer_is_final_whatever_comes_after_it() -> None:
    found = marks({"a": agent(DRAINED, {"ev": "error", "why": "late"}), "b": agent(DRAINED)})
    assert [(one.done, one.message) for one in found.values()] == [(True, ""), (True, "")]
