"""Until when a placement waits for nodes that have not answered yet (docs/design/placement.md). Pure.

Input: when the other nodes answered, in seconds since all were asked. Output: the second at which to go on without the
rest, or that every node has its full time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cause, Measured, NodeName, Request, Silent, Snapshot, Unfit
from clbalance.policy.placement.filters import filter_input, unfit_reason
from clbalance.policy.placement.policies import Policy

GRACE_S: Final = 1.0
"""How much longer the rest is waited for once enough nodes have answered."""
GRACE_OF_FEW_S: Final = 0.1
"""The same, where few of many nodes were asked: others can take the place of one that is late."""
LATE_TIMES: Final = 3.0
"""A node may take so many times the median of the answers, from when it was asked."""

PoolOf: TypeAlias = Callable[[Measured], str | None]
"""Which nodes can be used together: those with the same result. None: the node does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """So many nodes of one pool are enough; `wanted` None: only all of them are."""

    wanted: int | None
    pool_of: PoolOf
    with_suspects: bool = False
    """Suspects are waited for like all others, because they may be chosen."""
    are_few: bool = False
    """Few of many nodes were asked."""


ANY_NODE: Final = Enough(wanted=1, pool_of=lambda _: "")


def enough_for(request: Request, policy: Policy, now: datetime, *, are_few: bool = False) -> Enough:
    """Enough nodes to place `request` on. With `--same`, each value of the label is a pool. `are_few`: see `Enough`."""
    asked = filter_input(Snapshot(taken_at=now, answers=()), request, policy, now)
    label = request.constraints.same

    def pool_of(answer: Measured) -> str | None:
        if isinstance(unfit_reason(answer, asked), Unfit):
            return None
        return answer.labels[label] if label else ""

    return Enough(wanted=request.pick, pool_of=pool_of, with_suspects=request.constraints.force, are_few=are_few)


def go_on_at(
    *,
    trusted: int,
    trusted_s: Sequence[float],
    measured_s: Sequence[float],
    enough_s: float | None,
    asked_s: float = 0.0,
    grace_s: float = GRACE_S,
) -> float | None:
    """When to go on without the nodes that have not answered; None: each node has its full time.

    `trusted`: how many nodes were asked that are not suspect. `trusted_s`: when those answered or failed. `measured_s`:
    when any node answered. Both are sorted. `enough_s`: when there were enough nodes that fit. `asked_s`: when the last
    of the nodes were asked, if not all were asked at once.
    """
    if not measured_s:
        return None
    moments = []
    if len(trusted_s) == trusted:  # only suspects are left
        moments.append(max(measured_s[-1], _reached_at(trusted_s, trusted), asked_s) + grace_s)
    half = (trusted + 1) // 2
    if enough_s is not None and len(trusted_s) >= half:
        since_s = max(enough_s, _reached_at(trusted_s, half), asked_s)
        moments.append(max(since_s + grace_s, asked_s + LATE_TIMES * _median(measured_s)))
    return min(moments, default=None)


def _reached_at(ordered: Sequence[float], count: int) -> float:
    """When there were so many; 0 if none is needed."""
    return ordered[count - 1] if count else 0.0


def _median(ordered: Sequence[float]) -> float:
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


class Quorum:
    """The answers of one sweep so far, as far as `go_on_at` needs them. Each answer costs the same."""

    def __init__(self, trusted: int, enough: Enough, grace_s: float | None = None, *, asked_s: float = 0.0) -> None:
        self._asked_s = asked_s
        usual_s = GRACE_S if grace_s is None else grace_s
        self._grace_s = min(usual_s, GRACE_OF_FEW_S) if enough.are_few else usual_s
        self._trusted = trusted
        self._enough = enough
        self._trusted_s: list[float] = []
        self._measured_s: list[float] = []
        self._pools: Counter[str] = Counter()
        self._enough_s: float | None = None

    def add(self, answer: Answer, at_s: float, *, trusted: bool) -> None:
        """One more node has answered, or failed. `trusted`: it was not suspect when it was asked."""
        if trusted or self._enough.with_suspects:
            self._trusted_s.append(at_s)
        if isinstance(answer, Measured):
            self._measured_s.append(at_s)
            self._count(answer, at_s)

    @property
    def go_on_at(self) -> float | None:
        """As `go_on_at`, by the answers so far."""
        return go_on_at(
            trusted=self._trusted,
            trusted_s=self._trusted_s,
            measured_s=self._measured_s,
            enough_s=self._enough_s,
            asked_s=self._asked_s,
            grace_s=self._grace_s,
        )

    def _count(self, answer: Measured, at_s: float) -> None:
        wanted = self._enough.wanted
        if wanted is None or self._enough_s is not None or (pool := self._enough.pool_of(answer)) is None:
            return
        self._pools[pool] += 1
        if self._pools[pool] >= wanted:
            self._enough_s = at_s


def not_awaited(node: NodeName, after_s: float) -> Silent:
    """The answer of a node that was not waited for. It counts neither as a failure nor as an answer."""
    return Silent(
        node=node, cause=Cause.NOT_AWAITED, reason=f"no answer within {after_s:.1f} s, while other nodes have answered"
    )


def with_late(snapshot: Snapshot, later: Snapshot) -> Snapshot:
    """The snapshot with the answers of nodes that were not awaited, or not asked, at first. `later`: the same sweep,
    later.
    """
    late = {answer.node: answer for answer in later.answers}
    return replace(
        snapshot, answers=tuple(late[one.node] if may_still_answer(one) else one for one in snapshot.answers)
    )


def was_not_awaited(answer: Answer) -> bool:
    """Whether the node might still have answered."""
    return isinstance(answer, Silent) and answer.cause is Cause.NOT_AWAITED


def was_not_asked(answer: Answer) -> bool:
    """Whether the node was not asked, because others were enough."""
    return isinstance(answer, Silent) and answer.cause is Cause.NOT_ASKED


def may_still_answer(answer: Answer) -> bool:
    """Whether the node was not awaited, or not even asked."""
    return was_not_awaited(answer) or was_not_asked(answer)
