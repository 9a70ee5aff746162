"""History samples of answers, and failures of nodes in a row (docs/design/suspect.md). Pure.

A silent node makes a sample too, so that outages are visible; a failure of this host does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from clbalance.model import Answer, Cause, Gpu, Measured, NodeName, Silent, Unknown
from clbalance.model.node_history import FailureStreak, NodeSample
from clbalance.policy.indices.row import AnsweredNode, Index, Node
from clbalance.policy.indices.table import HISTORY
from clbalance.policy.leased_use import leased_uses, leased_values


def node_sample(answer: Answer) -> NodeSample | None:
    """The sample of an answer; None if the node was not really asked."""
    match answer:
        case Silent(cause=Cause.LOCAL | Cause.NOT_AWAITED | Cause.NOT_ASKED):
            return None
        case Silent():
            return NodeSample(answered=False)
        case Measured():
            gpus = answer.reading.gpus
            measured = map(_gpu_values, () if isinstance(gpus, Unknown) else gpus)
            return NodeSample(
                answered=True,
                values=values_of(AnsweredNode.of(answer), HISTORY),
                gpus=tuple({**one, **more} for one, more in zip(measured, leased_values(answer), strict=True)),
                leases=leased_uses(answer),
            )
        case _:
            assert_never(answer)


def values_of(node: Node, indices: Iterable[Index]) -> dict[str, float]:
    """The values of `indices` by their history keys; unknown values are left out."""
    samples = ((index.history.key, index.kept(node)) for index in indices if index.history)
    return {key: float(value) for key, value in samples if not isinstance(value, Unknown)}


def _gpu_values(gpu: Gpu) -> Mapping[str, float]:
    values = {"use_pct": gpu.use_pct, "mem_pct": gpu.mem_used_pct}
    return {key: value for key, value in values.items() if not isinstance(value, Unknown)}


# -- suspect nodes: those that did not answer several times in a row (docs/design/suspect.md)
#
# Input: a node's streak so far, and whether it answered now. Output: its new streak.

COUNTED_APART_S: Final = 5.0
"""A failure sooner than this after a counted one is not counted: a burst of calls is one probe."""
BACK_AFTER: Final = 2
"""Number of answers in a row that end the suspicion."""

_OF_THE_NODE: Final = frozenset(
    {Cause.UNREACHABLE, Cause.REFUSED, Cause.HUNG, Cause.TIMEOUT, Cause.STORAGE, Cause.GARBLED, Cause.LOST}
)
"""Causes that count as failures of the node. All others concern this host or the connection, such as a missing key."""


def next_streak(streak: FailureStreak, *, answered: bool, now_s: float, suspect_after: int | None) -> FailureStreak:
    """The streak after one more probe; `suspect_after` None: no node is ever suspect."""
    if suspect_after is None:
        return replace(streak, silent=0, answered=0, suspect=False)
    if answered:
        return _after_an_answer(streak)
    if 0.0 <= now_s - streak.silent_at_s < COUNTED_APART_S:
        return replace(streak, answered=0)
    silent = streak.silent + 1
    is_suspect = streak.suspect or silent >= suspect_after
    return replace(streak, silent=silent, answered=0, suspect=is_suspect, silent_at_s=now_s)


def _after_an_answer(streak: FailureStreak) -> FailureStreak:
    if not streak.suspect:
        return replace(streak, silent=0, answered=0)
    answered = streak.answered + 1
    if answered >= BACK_AFTER:
        return replace(streak, silent=0, answered=0, suspect=False)
    return replace(streak, answered=answered)


def with_streaks(
    answers: Sequence[Answer], before: Mapping[NodeName, FailureStreak], *, now_s: float, suspect_after: int | None
) -> dict[NodeName, FailureStreak]:
    """The streaks that this sweep changed, by node.

    If several nodes were asked and none answered, this host is probably cut off, and nothing is changed.
    """
    if len(answers) > 1 and not any(isinstance(answer, Measured) for answer in answers):
        return {}
    changed = {}
    for answer in answers:
        if isinstance(answer, Silent) and answer.cause not in _OF_THE_NODE:
            continue
        was = before.get(answer.node, _UNSTRAINED)
        answered = isinstance(answer, Measured)
        if answered and not (was.silent or was.answered or was.suspect):
            continue  # the usual case
        streak = next_streak(was, answered=answered, now_s=now_s, suspect_after=suspect_after)
        if streak != was:
            changed[answer.node] = streak
    return changed


_UNSTRAINED: Final = FailureStreak()


def marked_suspect(answer: Answer, streak: FailureStreak) -> Answer:
    """The answer, with the reason why its node is suspect, if it is."""
    if not streak.suspect:
        return answer
    failed = f"{streak.silent} probe{'s' if streak.silent != 1 else ''} in a row failed"
    if isinstance(answer, Measured):
        return replace(answer, suspect=f"{failed}; answered {streak.answered} of {BACK_AFTER}")
    return replace(answer, suspect=failed)


# -- nodes that could take no job when they were asked to (docs/design/suspect.md, "Refusals")

REFUSED_FOR_S: Final = 300.0
"""So long a refusal counts. What caused it can be seen only by asking once more."""


def marked_refused(answer: Answer, streak: FailureStreak, *, now_s: float) -> Answer:
    """The answer, with the reason why its node could take no job, if that was a short while ago."""
    ago_s = now_s - streak.refused_at_s
    if not streak.refused or not 0.0 <= ago_s < REFUSED_FOR_S or isinstance(answer, Silent):
        return answer
    return replace(answer, refused=f"{streak.refused} ({ago_s:.0f} s ago)")


def marked(answer: Answer, streak: FailureStreak, *, now_s: float) -> Answer:
    """The answer, with the reasons why its node is suspect, and why it could take no job, as far as that is so."""
    return marked_refused(marked_suspect(answer, streak), streak, now_s=now_s)
