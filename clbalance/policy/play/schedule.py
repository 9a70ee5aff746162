"""Which nodes may start their turn, and whether the run goes on. Pure.

In: the rules, the nodes in their order with their states, and the time. Out: one `Verdict`. The rules, in this order:

    too many failures → stop        a canary that is not healthy → stop and roll back, or ask
    a soak or a pause → wait        a drain that waits for the minimum → nothing new
    else                            the next nodes, as far as window, batch and `stop_after` allow
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeState, StepState
from clbalance.model.playbook import Rollout, Share

_ENDED: Final = frozenset({NodeState.OK, NodeState.FAILED, NodeState.UNCERTAIN, NodeState.LEFT_OUT})
_FAILED: Final = frozenset({NodeState.FAILED, NodeState.UNCERTAIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One node, as scheduling sees it."""

    state: NodeState = NodeState.NOT_STARTED
    ended_at: datetime | None = None
    refused_since: datetime | None = None
    """It is running, and its drain waits for the minimum."""
    is_failing: bool = False
    """It is running, and its turn has failed: it is being rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryLook:
    """What is known of the canary after its soak."""

    health: Mapping[NodeName, StepState] = field(default_factory=dict)
    """Of the check after the soak."""
    approved: bool = False
    """Somebody has said that the others follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run at one moment. `nodes`: in the order of turns."""

    rollout: Rollout
    nodes: tuple[NodeName, ...]
    standings: Mapping[NodeName, Standing]
    now: datetime
    most_at_once: int
    """Connections that may be open at once (`-f`)."""
    minimum_within_s: float = 600.0
    """So long a drain waits for the minimum while no turn of the run is elsewhere. Then the run stops."""
    has_health: bool = False
    """The playbook has a health check, which is made again after a soak."""
    canary: CanaryLook = CanaryLook()
    ended_here: int = 0
    """Turns that have ended in this process, for `stop_after`."""

    def having(self, *states: NodeState) -> tuple[NodeName, ...]:
        """The nodes in these states, in their order."""
        return tuple(node for node in self.nodes if self.standings[node].state in states)

    def failed(self) -> tuple[NodeName, ...]:
        """The nodes whose turn has failed, or whose fate is uncertain."""
        return tuple(
            node for node in self.nodes if self.standings[node].state in _FAILED or self.standings[node].is_failing
        )

    def is_over(self, node: NodeName) -> bool:
        """Whether its turn has ended."""
        return self.standings[node].state in _ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """These turns start now. Empty: what runs goes on. `holding`: why no further turn starts yet, for people."""

    nodes: tuple[NodeName, ...] = ()
    holding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """The canary's turns have ended; nothing starts until then."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCanary:
    """The soak is over: the health of these nodes is checked once more."""

    nodes: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSomebody:
    """Somebody must say whether the others follow. Without a terminal the run pauses."""

    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """No further turn starts. What runs comes to its end, and then `roll_back` is done."""

    reason: str
    roll_back: tuple[NodeName, ...] = ()
    """Nodes of a failed canary whose own turn has ended well. The others were rolled back in their turn."""
    minimum: bool = False
    """The minimum could not be held (exit code 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRun:
    """By `stop_after`: no further turn starts."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Each node's turn has ended."""


Verdict: TypeAlias = Start | Soak | CheckCanary | AskSomebody | Stop | PauseRun | Finished


def decide(facts: RunFacts) -> Verdict:
    """What the run does now."""
    canary = canary_nodes(facts)
    if (stop := _stop(facts, canary)) is not None:
        return stop
    if not facts.having(NodeState.NOT_STARTED, NodeState.RUNNING) and not _canary_is_open(facts, canary):
        return Finished()
    if _canary_is_open(facts, canary):
        return _canary(facts, canary)
    return _next_turns(facts, _batch(facts, canary))


# -- the run stops by itself


def _stop(facts: RunFacts, canary: tuple[NodeName, ...]) -> Stop | None:
    failed = facts.failed()
    bad = [node for node in canary if _is_bad(facts, node)]
    if bad and not facts.canary.approved:
        others = tuple(node for node in canary if facts.standings[node].state is NodeState.OK)
        return Stop(reason=f"the canary failed: {', '.join(bad)}", roll_back=others)
    uncertain_canary = [node for node in canary if facts.standings[node].state is NodeState.UNCERTAIN]
    counted = len(failed) if facts.canary.approved else len(failed) - len(uncertain_canary)
    if counted > most_failed(facts.rollout.max_fail_percentage, len(facts.nodes)):
        limit = facts.rollout.max_fail_percentage or 0.0
        return Stop(reason=f"{counted} of {len(facts.nodes)} nodes have failed, `max_fail_percentage` is {limit:g}")
    return _minimum(facts)


def most_failed(max_fail_percentage: float | None, nodes: int) -> int:
    """So many of all nodes of the run may fail; one more stops it."""
    return math.floor((max_fail_percentage or 0.0) * nodes / 100.0)


def _minimum(facts: RunFacts) -> Stop | None:
    """The minimum cannot be held: every turn that runs has waited for it too long."""
    running = [facts.standings[node] for node in facts.having(NodeState.RUNNING)]
    refused = [one.refused_since for one in running if one.refused_since is not None]
    if not running or len(refused) < len(running):
        return None
    # A turn of ours that has ended a moment ago may have made room.
    since = max([*refused, *(one.ended_at for one in facts.standings.values() if one.ended_at is not None)])
    if facts.now < since + timedelta(seconds=facts.minimum_within_s):
        return None
    return Stop(reason=no_further_drain(facts.rollout), minimum=True)


def no_further_drain(rollout: Rollout) -> str:
    """Why drains are refused: without a minimum, only the mark of another run can be the reason."""
    if rollout.min_available is None:
        return "its nodes are drained by another run"
    return "`min_available` does not allow a further drain"


# -- the canary


def canary_nodes(facts: RunFacts) -> tuple[NodeName, ...]:
    """The first nodes that were not left out."""
    if facts.rollout.canary is None:
        return ()
    counted = [node for node in facts.nodes if facts.standings[node].state is not NodeState.LEFT_OUT]
    return tuple(counted[: count_of(facts.rollout.canary.nodes, len(facts.nodes))])


def _is_bad(facts: RunFacts, node: NodeName) -> bool:
    standing = facts.standings[node]
    has_failed = standing.state is NodeState.FAILED or standing.is_failing
    return has_failed or facts.canary.health.get(node) is StepState.FAILED


def _canary_is_open(facts: RunFacts, canary: tuple[NodeName, ...]) -> bool:
    """Whether the others still wait for the canary. Where there are no others, only its soak is left."""
    return bool(canary) and not facts.canary.approved


def _canary(facts: RunFacts, canary: tuple[NodeName, ...]) -> Verdict:
    if not all(facts.is_over(node) for node in canary):
        return _next_turns(facts, canary)
    if (waits := _soak(facts, canary)) is not None:
        return waits
    if unsure := [node for node in canary if _is_unsure(facts, node)]:
        return AskSomebody(question=f"it is unknown whether the canary is healthy: {', '.join(unsure)}")
    if not facts.having(NodeState.NOT_STARTED, NodeState.RUNNING):
        return Finished()
    if facts.rollout.canary is not None and facts.rollout.canary.pause:
        return AskSomebody(question=f"the canary is healthy: {', '.join(canary)}")
    return _next_turns(facts, _batch(facts, canary))


def _is_unsure(facts: RunFacts, node: NodeName) -> bool:
    is_uncertain = facts.standings[node].state is NodeState.UNCERTAIN
    return is_uncertain or facts.canary.health.get(node) is StepState.UNKNOWN


def _soak(facts: RunFacts, canary: tuple[NodeName, ...]) -> Soak | CheckCanary | None:
    soak_s = 0.0 if facts.rollout.canary is None else facts.rollout.canary.soak_s
    ended = [at for node in canary if (at := facts.standings[node].ended_at) is not None]
    until = max(ended, default=facts.now) + timedelta(seconds=soak_s)
    if soak_s and facts.now < until:
        return Soak(until=until)
    unchecked = tuple(node for node in canary if node not in facts.canary.health)
    return CheckCanary(nodes=unchecked) if soak_s and facts.has_health and unchecked else None


# -- the next turns


def _batch(facts: RunFacts, canary: tuple[NodeName, ...]) -> tuple[NodeName, ...]:
    """The nodes that may have their turn now: the first batch that has not ended, or all."""
    rest = tuple(node for node in facts.nodes if node not in canary)
    if not facts.rollout.serial:
        return (*canary, *rest)
    for batch in (canary, *batches(rest, facts.rollout.serial, len(facts.nodes))):
        if not all(facts.is_over(node) for node in batch):
            return batch
    return ()


def batches(nodes: Sequence[NodeName], sizes: Sequence[Share], total: int) -> tuple[tuple[NodeName, ...], ...]:
    """The nodes in batches of these sizes; the last size is repeated. A percentage is of all nodes of the run."""
    counts = [count_of(one, total) for one in sizes]
    missing = max(0, len(nodes) - sum(counts))
    counts += [counts[-1]] * math.ceil(missing / counts[-1])
    ends = list(accumulate(counts))
    found = (tuple(nodes[end - count : end]) for count, end in zip(counts, ends, strict=True))
    return tuple(one for one in found if one)


def count_of(share: Share, total: int) -> int:
    """The number of nodes: at least one. A percentage is rounded down, as Ansible does."""
    return max(1, share.number * total // 100 if share.is_percent else share.number)


def _next_turns(facts: RunFacts, among: Sequence[NodeName]) -> Start | PauseRun:
    running = facts.having(NodeState.RUNNING)
    if any(facts.standings[node].refused_since is not None for node in running):
        return Start(holding=f"{no_further_drain(facts.rollout)} now")
    window = facts.rollout.window
    room = min(facts.most_at_once, len(facts.nodes) if window is None else count_of(window, len(facts.nodes)))
    room -= len(running)
    if (stop_after := facts.rollout.stop_after) is not None:
        left = count_of(stop_after, len(facts.nodes)) - facts.ended_here - len(running)
        if left <= 0 and not running:
            return PauseRun(reason=f"{facts.ended_here} turns have ended (`stop_after`)")
        room = min(room, left)
    waiting = [node for node in among if facts.standings[node].state is NodeState.NOT_STARTED]
    return Start(nodes=tuple(waiting[: max(0, room)]))
