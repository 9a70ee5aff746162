"""All nodes are drained or none; what is asked of which node, when one fails, gives way, or is told to stop."""

from collections.abc import Mapping, Sequence

import pytest

from clbalance.engine.drain import (
    DECIDED_WITHIN_S,
    DrainCommitted,
    DrainRequest,
    DrainResult,
    Marked,
    NotMarked,
    drain_with_min_available,
    read_back,
)
from clbalance.engine.services import Services
from clbalance.errors import Interrupted
from clbalance.model import NodeName
from clbalance.policy.drain_progress import BelowMinAvailable, Undecided
from tests.scripted import HangUp, ScriptedNode

from .services import ScriptedAgent, probed, world_of

KEY = "ab" * 16
WISH = DrainRequest(reason="disk", by="alice")
LATER = '{"v":1,"reason":"x","by":"root","at":1,"until":null,"asked_at":99999999999}'


class Node:
    """A node of 4 cpus with an agent that keeps marks; `refuses` names the operations that fail."""

    def __init__(self, *refuses: str, others: str = "") -> None:
        self.refuses = frozenset(refuses)
        self.others = others
        """The text of somebody's mark on it."""
        self.agent = ScriptedAgent(rules=dict.fromkeys(("propose", "drain", "resume"), self._answer))

    def __call__(self, text: bytes) -> list[bytes | HangUp]:
        if text.startswith(b"probe "):
            lines = probed()(text)
            return [part for line in lines for part in self._with_marks(line)]
        return self.agent(text)

    def _with_marks(self, line: bytes | HangUp) -> list[bytes | HangUp]:
        if not (self.others and isinstance(line, bytes) and line.endswith(b"- marks 0")):
            return [line]
        nonce = line.split(b" ")[0]
        home = "/var/tmp/clbalance-0"
        parts = [
            "clock 1000",
            f"mark 1 2 0 41ed {home}",
            f"mark 1 3 0 81a4 {home}/drain-{'f' * 32}",
            f"{home}/drain-{'f' * 32}:{self.others}",
        ]
        return [nonce + b" + marks", *(one.encode() for one in parts), line]

    def _answer(self, request: dict[str, object]) -> list[dict[str, object]]:
        op = str(request["op"])
        kind = "firm" if op == "drain" and request.get("key") else op
        if kind in self.refuses:
            return [{"ev": "error", "why": "no"}]
        return [{"ev": "resumed", "was": True} if op == "resume" else {"ev": "drained", "path": "/x"}]

    @property
    def asked(self) -> list[str]:
        """What of it, in order; those with a key have a `+`."""
        return [f"{one['op']}{'+' if one.get('key') else ''}" for one in self.agent.heard]


def keep(
    nodes: Mapping[str, ScriptedNode], wanted: str, min_available: int, in_doubt: Sequence[str] = (), **changes: object
) -> tuple[DrainResult, Services]:
    """And just the nodes `in_doubt` are told of, also when it is interrupted."""
    services, parts = world_of(nodes, **changes), list[NodeName]()
    pool = [NodeName(name) for name in nodes]
    try:
        return drain_with_min_available(
            services, [NodeName(name) for name in wanted.split()], pool, min_available, WISH, KEY, parts.extend
        ), services
    finally:
        assert parts == list(in_doubt)


def test_all_agree_and_the_mark_that_is_for_good_comes_last() -> None:
    nodes = {name: Node() for name in "abc"}
    end, _ = keep(nodes, "a b", 1)
    assert isinstance(end, DrainCommitted)
    assert end.left == 1
    assert [node.asked for node in nodes.values()] == [["propose+", "drain+", "drain"]] * 2 + [[]]


MINE = '{"v":1,"reason":"disk","by":"alice","at":1,"until":%s}'


@pytest.mark.parametrize(
    ("node", "done", "may_run"),
    [
        pytest.param(Node(others=MINE % "null"), True, False, id="the mark is there"),
        pytest.param(Node(others=MINE % "1001"), True, False, id="or ends later by the node's clock"),
        pytest.param(Node(), False, True, id="it was removed again"),
        pytest.param(Node(others=MINE % "1000"), False, True, id="it is over by the node's clock"),
        pytest.param(lambda _: [], True, True, id="a silent node has confirmed it"),
    ],
)
def test_a_mark_is_read_back_before_a_node_is_called_drained(node: ScriptedNode, done: bool, may_run: bool) -> None:
    marked = [Marked(node=NodeName("a"), done=True, uid=0), Marked(node=NodeName("b"), done=False, message="no")]
    found, begun = read_back(world_of({"a": node}), marked)
    assert ([one.done for one in found], found[1].message) == ([done, False], "no")
    assert bool(found[0].message) is not done
    assert begun == ({"a"} if may_run else set())


def test_too_few_and_all_proposals_go() -> None:
    nodes = {name: Node() for name in "abc"}
    end, _ = keep(nodes, "a b", 2)
    assert end == BelowMinAvailable(left=1, unavailable={})
    assert [node.asked for node in nodes.values()] == [["propose+", "resume+"]] * 2 + [[]]


@pytest.mark.parametrize(
    ("refuses", "asked"), [("propose", ["propose+", "resume+"]), ("firm", ["propose+", "drain+", "resume+"])]
)
def test_one_that_cannot_be_marked_keeps_all_from_it(refuses: str, asked: list[str]) -> None:
    nodes = {"a": Node(), "b": Node(refuses), "c": Node()}
    end, _ = keep(nodes, "a b", 0)
    assert isinstance(end, NotMarked)
    assert [one.node for one in end.marked if not one.done] == ["b"]
    assert [nodes[name].asked for name in "ab"] == [asked] * 2


@pytest.mark.parametrize(("refuses", "in_doubt"), [("firm resume", ["b"]), ("propose resume", [])])
def test_one_that_may_have_a_mark_that_is_for_good_is_told_of(refuses: str, in_doubt: list[str]) -> None:
    nodes = {"a": Node(), "b": Node(*refuses.split()), "c": Node()}
    end, _ = keep(nodes, "a b", 0, in_doubt)
    assert isinstance(end, NotMarked)


def test_who_waits_for_others_gives_up_in_time() -> None:
    nodes = {"a": Node(), "b": Node(others=LATER), "c": Node()}
    end, services = keep(nodes, "a", 2)
    assert end == Undecided(nodes=(NodeName("b"),))
    assert DECIDED_WITHIN_S <= services.clock.monotonic() <= DECIDED_WITHIN_S + 5.0
    assert nodes["a"].asked == ["propose+", "resume+"]


def test_what_is_firm_on_the_others_does_not_have_to_be_waited_for() -> None:
    nodes = {"a": Node(), "b": Node(others=LATER.replace(',"asked_at":99999999999', "")), "c": Node()}
    end, services = keep(nodes, "a", 2)
    assert end == BelowMinAvailable(left=1, unavailable={NodeName("b"): "drained: x (by root)"})
    assert services.clock.monotonic() < 5.0


@pytest.mark.parametrize(
    ("point", "asked", "in_doubt"),
    [("proposed", ["propose+", "resume+"], []), ("made_firm", ["propose+", "drain+", "resume+"], ["b"])],
)
def test_who_is_told_to_stop_takes_back_what_he_can_and_tells_of_the_rest(
    point: str, asked: list[str], in_doubt: list[str]
) -> None:
    nodes = {"a": Node(), "b": Node("resume")}

    def stop(here: str) -> None:
        if here == point:
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        keep(nodes, "a b", 0, in_doubt, fail_point=stop)
    assert [node.asked for node in nodes.values()] == [asked] * 2
