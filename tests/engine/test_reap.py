"""Leftovers are asked for on every node until it has told all; each answers for itself."""

from collections.abc import Mapping

from clbalance.engine.reap import MOST_ANSWERS, reap
from clbalance.model import Cause, NodeName
from clbalance.model.checkup import Reaped
from tests.scripted import ScriptedNode

from .services import ScriptedAgent, world_of


def finding(name: str, size: int = 1, kind: str = "job") -> dict[str, object]:
    return {"kind": kind, "name": name, "bytes": size, "pids": [], "why": ""}


def part(last: str, *found: dict[str, object], more: bool = False) -> dict[str, object]:
    return {"ev": "reaped", "found": list(found), "last": last, "more": more}


def agent(answers: Mapping[str, Mapping[str, object]]) -> ScriptedAgent:
    """An agent that answers by what it is asked for."""
    return ScriptedAgent(rules={"reap": lambda request: [dict(answers[request["after"]])]})


def reaped(nodes: Mapping[str, ScriptedNode]) -> dict[str, Reaped]:
    found = reap(world_of(nodes), [NodeName(name) for name in nodes], keep_s=60.0, apply=False)
    return {one.node: one for one in found}


def test_every_part_is_asked_for_behind_the_last_one_and_what_was_told_twice_adds_up() -> None:
    one = agent(
        {
            "": part("b", finding("a"), finding("b", 5), more=True),
            "b": part("c", finding("b", 7), finding("c"), more=False),
        }
    )
    node = reaped({"n": one})["n"]
    assert [(left.name, left.size_bytes) for left in node.found] == [("a", 1), ("b", 12), ("c", 1)]
    assert node.answered
    assert [request["after"] for request in one.heard] == ["", "b"]


def test_a_node_without_an_end_is_left_alone_some_day() -> None:
    one = agent({"": part("x", finding("a"), more=True), "x": part("x", more=True)})
    assert (reaped({"n": one})["n"].reason, len(one.heard)) == ("there is more", MOST_ANSWERS)


def test_what_was_told_before_a_node_fell_silent_counts_and_the_others_are_done() -> None:
    silent = ScriptedAgent(
        rules={
            "reap": lambda request: (
                [{"hang_up": {"cause": Cause.UNREACHABLE, "reason": "gone"}}]
                if request["after"]
                else [part("a", finding("a"), more=True)]
            )
        }
    )
    parsed = reaped({"silent": silent, "well": agent({"": part("")})})
    assert [left.name for left in parsed["silent"].found] == ["a"]
    assert [one.answered for one in parsed.values()] == [False, True]


def test_what_a_node_cannot_mean_is_no_answer() -> None:
    odd = ScriptedAgent(
        rules={
            "reap": lambda _: [
                part("", finding("a", -1)),
                part("", finding("a", kind="all")),
                {"ev": "error", "why": "no"},
            ]
        }
    )
    assert reaped({"n": odd})["n"] == Reaped(node=NodeName("n"), reason="no")
