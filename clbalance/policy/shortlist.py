"""Which nodes a placement asks when it needs few of many (docs/design/few-nodes.md). Pure.

Input: what is remembered of the candidates, and the answers so far. Output: the nodes to ask next; none: those that
have answered will do. What is remembered only decides who is asked. Fresh answers decide who is chosen.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cause, NodeName, Request, Silent, Snapshot, Unfit
from clbalance.policy.placement.filters import FilterInput, filter_input, unfit_reason
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import Policy, Rule
from clbalance.policy.placement.quorum import may_still_answer, was_not_asked, was_not_awaited
from clbalance.policy.placement.score_all import score_all
from clbalance.policy.placement.select import Rng

SPARE_FRESH: Final = 1
"""So many of the best are asked beyond those that are wanted, if what is remembered of them is fresh."""
SPARE: Final = 2
"""So many are, if it is not."""
DRAWN: Final = 2
"""So many are asked because what is remembered of them is not fresh: one drawn, and the one asked longest ago."""
MARGIN: Final = 5.0
"""Points by which a node must have been better than those that have answered to be asked, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered of each candidate: its last answer, that it did not answer, or that nothing is known."""

    answers: tuple[Answer, ...]
    age_s: Mapping[NodeName, float]
    """Of those of which something is known."""
    within_s: float
    """How old it may be."""

    @property
    def is_enough(self) -> bool:
        """Whether at least half of the candidates are known. Otherwise all are asked, and known again."""
        return 2 * len(self.age_s) >= len(self.answers)

    def is_fresh(self, node: NodeName) -> bool:
        """Whether what is known of it is hardly worse than a new answer."""
        return self.age_s.get(node, math.inf) <= self.within_s / 2


def unknown_node(node: NodeName, within_s: float) -> Silent:
    """What is remembered of a node that has not been asked for so long."""
    return Silent(
        node=node, cause=Cause.NOT_ASKED, reason=f"nothing is known of it from the last {within_s:g} s; others will do"
    )


def may_ask_few(request: Request, policy: Policy, candidates: int) -> bool:
    """Whether few of so many candidates may do: not all are wanted, and what is wanted does not depend on all."""
    wishes = request.constraints
    return (
        request.pick is not None
        and 2 * (request.pick + SPARE + DRAWN) <= candidates
        and policy.rule is Rule.BEST
        and not policy.weights.fragmentation
        and not (wishes.ask_all or wishes.force or wishes.order or wishes.near or wishes.same)
    )


def first_asked(
    memory: Memory,
    request: Request,
    policy: Policy,
    now: datetime,
    rng: Rng,
    connected: frozenset[NodeName] = frozenset(),
) -> tuple[NodeName, ...]:
    """The nodes to ask first: the best as far as is remembered, and others of which that is not fresh; or all.

    `connected`: nodes that can be asked without a login. Of nodes that are as good as each other, these are asked.
    """
    everyone = tuple(answer.node for answer in memory.answers)
    if not memory.is_enough or request.pick is None or not may_ask_few(request, policy, len(everyone)):
        return everyone
    fitting = _fitting(memory, request, policy, now, rng)
    if len(fitting) < request.pick + SPARE:
        return everyone
    if not connected.isdisjoint(fitting):
        fitting = _connected_first(fitting, connected, memory, request, policy)
    are_fresh = all(memory.is_fresh(node) for node in fitting[: request.pick + SPARE_FRESH])
    best = request.pick + (SPARE_FRESH if are_fresh else SPARE)
    return (*fitting[:best], *_drawn(memory, frozenset(fitting[best:]), rng))


def _fitting(memory: Memory, request: Request, policy: Policy, now: datetime, rng: Rng) -> tuple[NodeName, ...]:
    """The nodes that would fit by what is remembered, the best first."""
    remembered = Snapshot(taken_at=now, answers=memory.answers)
    return place(remembered, replace(request, pick=None), policy, now, rng).chosen


def _connected_first(
    fitting: Sequence[NodeName], connected: frozenset[NodeName], memory: Memory, request: Request, policy: Policy
) -> tuple[NodeName, ...]:
    """Before all others, the connected nodes that are worse than the best by no more than what counts."""
    assert request.pick is not None
    totals = score_all(memory.answers, request, policy)
    total_of = {answer.node: total for answer, total in zip(memory.answers, totals, strict=True)}
    least = total_of[fitting[request.pick - 1]] - MARGIN
    return tuple(sorted(fitting, key=lambda node: node not in connected or total_of[node] < least))


def _drawn(memory: Memory, fitting: frozenset[NodeName], rng: Rng) -> list[NodeName]:
    """Of the others that fit or are unknown, and are not fresh: the one asked longest ago, and any other."""
    others = sorted(
        answer.node
        for answer in memory.answers
        if (answer.node in fitting or was_not_asked(answer)) and not memory.is_fresh(answer.node)
    )
    ages_s = {node: memory.age_s.get(node, math.inf) for node in others}
    longest_s = max(ages_s.values(), default=math.inf)
    oldest = _draw([node for node in others if ages_s[node] == longest_s], rng)
    return [*oldest, *_draw([node for node in others if node not in oldest], rng)]


def _draw(nodes: Sequence[NodeName], rng: Rng) -> list[NodeName]:
    """One of them; none, if there are none."""
    return [nodes[int(rng.random() * len(nodes))]] if nodes else []


def next_asked(
    memory: Memory, snapshot: Snapshot, chosen: Sequence[NodeName], request: Request, policy: Policy, now: datetime
) -> tuple[NodeName, ...]:
    """The nodes to ask next; none, if those that have answered will do.

    `snapshot`: the answers so far. `chosen`: the nodes that they give; none if they are too few. Then all others are
    asked. Otherwise those that were better than the chosen ones are now, as far as is remembered.
    """
    unasked = frozenset(answer.node for answer in snapshot.answers if was_not_asked(answer))
    if not unasked or not chosen:
        return tuple(answer.node for answer in snapshot.answers if answer.node in unasked)
    better = _better(memory, snapshot, chosen, request, policy, now)
    return tuple(node for node in better if node in unasked)[: len(snapshot.answers) - len(unasked)]


def is_late_one_better(
    memory: Memory, snapshot: Snapshot, chosen: Sequence[NodeName], request: Request, policy: Policy, now: datetime
) -> bool:
    """Whether a node that was not awaited was better than the chosen ones are now, as far as is remembered."""
    late = frozenset(answer.node for answer in snapshot.answers if was_not_awaited(answer))
    return bool(chosen) and not late.isdisjoint(_better(memory, snapshot, chosen, request, policy, now))


def _better(
    memory: Memory, snapshot: Snapshot, chosen: Sequence[NodeName], request: Request, policy: Policy, now: datetime
) -> list[NodeName]:
    """The nodes that may still answer, and were better, by as much as counts, than the chosen ones; the best first."""
    answers = [_newest(*both) for both in zip(snapshot.answers, memory.answers, strict=True)]
    totals = score_all(answers, request, policy)
    least = MARGIN + min(total for answer, total in zip(answers, totals, strict=True) if answer.node in chosen)
    filters = filter_input(snapshot, request, policy, now)
    better = [
        (total, remembered.node)
        for answer, remembered, total in zip(snapshot.answers, answers, totals, strict=True)
        if total > least and may_still_answer(answer) and not isinstance(unfit_reason(remembered, filters), Unfit)
    ]
    return [node for _, node in sorted(better, key=lambda one: -one[0])]


def _newest(answer: Answer, remembered: Answer) -> Answer:
    return remembered if may_still_answer(answer) else answer


def not_asked(answer: Answer, age_s: float, filters: FilterInput) -> Silent:
    """The answer of a node that is not asked: why not, in words. `answer`: what is remembered of it, of that age."""
    return Silent(node=answer.node, cause=Cause.NOT_ASKED, reason=_why(answer, age_s, filters))


def _why(answer: Answer, age_s: float, filters: FilterInput) -> str:
    if was_not_asked(answer):
        assert isinstance(answer, Silent)
        return answer.reason
    verdict = unfit_reason(answer, filters)
    if isinstance(verdict, Unfit):
        return f"{age_s:.0f} s ago: {verdict.phrase}"
    return f"{age_s:.0f} s ago others were at least as good"
