"""Nodes that take one request after another: what `place` decides on each charged snapshot, without asking all again.

What a kind of request comes to on a node changes when something was placed there or has left, and else stays. So each
kind keeps its totals, and brings up to date those of the nodes that were touched since it was asked last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Final

from clbalance.model import Answer, Measured, NodeName, Promise, Request, Snapshot
from clbalance.policy.charge import promise_to
from clbalance.policy.effective import Load, effective_load
from clbalance.policy.filter import Asked, asked_of, verdict
from clbalance.policy.policies import Policy, Rule
from clbalance.policy.score import Weighed, total
from clbalance.policy.scorers import scorers_of
from clbalance.policy.select import Rng, best_place, in_order

_UNFIT: Final = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one request holds: a promise on each of its nodes."""

    promises: tuple[tuple[NodeName, Promise], ...]

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """In the order of the choice."""
        return tuple(node for node, _ in self.promises)


@dataclass(slots=True)
class _Kind:
    """One kind of request: its total on each node as of the touch number `seen`."""

    asked: Asked
    weighed: Weighed
    totals: list[float] = field(default_factory=list)
    seen: int = 0


class Board:
    """The nodes of a snapshot; `place` charges them and `release` takes the charge back.

    `--order` and `--same` compare nodes with each other, so they are not for a board.
    """

    def __init__(self, snapshot: Snapshot, policy: Policy, now: datetime) -> None:
        self._answers = sorted(snapshot.answers, key=lambda answer: answer.node)
        self._names = [answer.node for answer in self._answers]
        self._place_of = {answer.node: at for at, answer in enumerate(self._answers)}
        self._snapshot, self._policy, self._now = snapshot, policy, now
        self._loads = [effective_load(one) if isinstance(one, Measured) else None for one in self._answers]
        self._kinds: dict[Request, _Kind] = {}
        self._touched: list[int] = []
        self._last = snapshot.last_used

    def place(self, request: Request, rng: Rng) -> Holding | None:
        """The nodes that `request` gets, all that it asks for, or None and nothing is charged."""
        totals = self._totals(request)
        if request.pick == 1 and self._policy.rule is Rule.BEST:
            chosen = best_place(totals, _UNFIT, rng)
        else:
            order = in_order(self._policy.rule, totals, self._names, lambda at: totals[at] > _UNFIT, rng, self._last)
            chosen = list(islice(order, request.pick))
        if len(chosen) < (1 if request.pick is None else request.pick):
            return None
        self._last = self._names[chosen[-1]]
        return Holding(promises=tuple((self._answers[at].node, self._charge(at, request)) for at in chosen))

    def count_fitting(self, request: Request) -> int:
        """On how many nodes a copy of `request` fits now."""
        return sum(1 for points in self._totals(request) if points > _UNFIT)

    def release(self, holding: Holding) -> None:
        """Take back what `place` has charged."""
        for node, promise in holding.promises:
            at = self._place_of[node]
            answer = self._measured(at)
            placed = list(answer.placed)
            placed.remove(promise)
            self._change(at, replace(answer, placed=tuple(placed)))

    @property
    def all_answers(self) -> tuple[Answer, ...]:
        """The nodes as they are charged now, by name."""
        return tuple(self._answers)

    def _charge(self, at: int, request: Request) -> Promise:
        answer = self._measured(at)
        promise = promise_to(request, answer, self._policy)
        self._change(at, replace(answer, placed=(*answer.placed, promise)))
        return promise

    def _measured(self, at: int) -> Measured:
        answer = self._answers[at]
        assert isinstance(answer, Measured)  # nothing else fits
        return answer

    def _change(self, at: int, answer: Measured) -> None:
        self._answers[at] = answer
        self._loads[at] = effective_load(answer)
        self._touched.append(at)

    def _totals(self, request: Request) -> Sequence[float]:
        alike = replace(request, name="") if request.name else request
        kind = self._kinds.get(alike)
        if kind is None:
            kind = self._kinds[alike] = _Kind(
                asked=asked_of(self._snapshot, request, self._policy, self._now),
                weighed=scorers_of(self._policy, request),
            )
            kind.totals = [self._total(at, kind) for at in range(len(self._answers))]
        else:
            for at in set(self._touched[kind.seen :]):
                kind.totals[at] = self._total(at, kind)
        kind.seen = len(self._touched)
        return kind.totals

    def _total(self, at: int, kind: _Kind) -> float:
        found = verdict(self._answers[at], kind.asked, self._loads[at])
        return total(found, kind.asked.request, kind.weighed) if isinstance(found, Load) else _UNFIT
