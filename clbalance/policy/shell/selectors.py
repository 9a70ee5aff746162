"""Nodes by what they are now: `@clb:idle`, `@clb:best-4` and the like, wherever a node set is typed. Pure."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from clbalance.errors import NodeNameError
from clbalance.model import Answer, Measured, NodeName, Request, Snapshot, Unknown
from clbalance.policy.indices import readers
from clbalance.policy.indices.row import AnsweredNode
from clbalance.policy.placement.explain import NodeState, node_state
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng

RESULTS: Final = ("ok", "failed", "timeout", "unreachable")
"""Of the last command; these are groups of the source `clb` already."""
_NOW: Final = ("idle", "busy", "gpu-idle", "drained", "suspect")
SHORT_FORMS: Final = tuple(f"@{name}" for name in (*_NOW, "best:", *RESULTS))
"""As they are typed; a number follows `@best:`."""
_IDLE_PER_CPU: Final = 0.1
_WORDS = "|".join(_NOW)
_LONG = re.compile(rf"@clb:(best-[0-9]{{1,6}}|{_WORDS})(?![A-Za-z0-9_.-])")
_SHORT = re.compile(rf"@(best:[0-9]{{1,6}}|{_WORDS}|{'|'.join(RESULTS)})(?![A-Za-z0-9_.:-])")

_STATES = {
    "busy": frozenset({NodeState.BUSY}),
    "drained": frozenset({NodeState.DRAINED, NodeState.DRAINING}),
    "suspect": frozenset({NodeState.SUSPECT}),
}


def in_long_form(text: str, is_group: Callable[[str], bool]) -> str:
    """`@idle` as `@clb:idle`, and `@best:4` as `@clb:best-4`, unless the site has a group of that name."""

    def long(found: "re.Match[str]") -> str:
        return found[0] if is_group(found[1]) else f"@clb:{found[1].replace(':', '-')}"

    return _SHORT.sub(long, text)


def selectors_in(text: str) -> frozenset[str]:
    """The selectors in long form that need to know how the nodes are now, such as `best-4`."""
    return frozenset(_LONG.findall(text))


def replaced(text: str, nodes: Callable[[str], str]) -> str:
    """The text with each of these selectors replaced by the folded nodes that it stands for."""
    return _LONG.sub(lambda found: nodes(found[1]), text)


def selected(selector: str, snapshot: Snapshot, policy: Policy, rng: Rng) -> Sequence[NodeName]:
    """The nodes of a selector. `NodeNameError` if there are none, or fewer than it asks for."""
    word, _, count = selector.partition("-")
    if word == "best":
        ranked = _placed(snapshot, Request(pick=None), policy, rng)
        if not 0 < int(count) <= len(ranked):
            raise NodeNameError(f"`@clb:{selector}`: {len(ranked)} nodes fit", hint="`load` shows them")
        return ranked[: int(count)]
    if selector == "gpu-idle":
        found = _placed(snapshot, Request(pick=None, cpus=0.0, gpus=1), policy, rng)
    else:
        found = [one.node for one in snapshot.answers if _is(selector, one, policy, snapshot.taken_at)]
    if not found:
        raise NodeNameError(f"`@clb:{selector}`: no node is {selector} now", hint="`load` shows how they are")
    return found


def _placed(snapshot: Snapshot, request: Request, policy: Policy, rng: Rng) -> list[NodeName]:
    return [one.node for one in place(snapshot, request, policy, snapshot.taken_at, rng).ranked]


def _is(selector: str, answer: Answer, policy: Policy, now: datetime) -> bool:
    state = node_state(answer, policy.thresholds, now).state
    if selector != "idle":
        return state in _STATES[selector]
    if state is not NodeState.UP or not isinstance(answer, Measured) or answer.reading.leases != ():
        return False
    load = readers.load_per_cpu(AnsweredNode.of(answer))
    return not isinstance(load, Unknown) and load < _IDLE_PER_CPU
