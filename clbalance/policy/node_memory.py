"""What history keeps of one answer, and which nodes failed several times in a row (docs/design/suspect.md). Pure.

Silence is part of it: an outage must be seen. But a failure of this host says nothing about a node.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from clbalance.model import Answer, Cause, Gpu, Measured, NodeName, Silent, Unknown
from clbalance.model.node_history import FailureStreak, NodeSample
from clbalance.policy.indices.row import AnsweredNode, Index, Node
from clbalance.policy.indices.table import HISTORY


def node_sample(answer: Answer) -> NodeSample | None:
    """None where the node was not really asked."""
    match answer:
        case Silent(cause=Cause.LOCAL | Cause.NOT_AWAITED):
            return None
        case Silent():
            return NodeSample(answered=False)
        case Measured():
            gpus = answer.reading.gpus
            of_gpus = () if isinstance(gpus, Unknown) else tuple(map(_gpu_values, gpus))
            return NodeSample(answered=True, values=values_of(AnsweredNode.of(answer), HISTORY), gpus=of_gpus)
        case _:
            assert_never(answer)


def values_of(node: Node, indices: Iterable[Index]) -> dict[str, float]:
    """What history keeps of these indices, by its keys; what is unknown is left out."""
    samples = ((index.history.key, index.kept(node)) for index in indices if index.history)
    return {key: float(value) for key, value in samples if not isinstance(value, Unknown)}


def _gpu_values(gpu: Gpu) -> Mapping[str, float]:
    held = {"mem_pct": _share(gpu.mem_used_bytes, gpu.mem_total_bytes)}
    return held if isinstance(gpu.use_pct, Unknown) else {"use_pct": gpu.use_pct, **held}


def _share(part: float, whole: float) -> float:
    return 100.0 * part / max(1, whole)


# Which nodes are not to be trusted: those that did not answer several times in a row (docs/design/suspect.md). Pure.
#
# Enters: what was seen of a node before, and whether it has answered now. Leaves: what is known of it from now on.

COUNTED_APART_S: Final = 5.0
"""A burst of calls is one probe: what comes sooner after one that was counted is not counted."""
BACK_AFTER: Final = 2
"""So many answers in a row bring a suspect back."""
GRACE_S: Final = 1.0
"""So much longer than for the others a placement waits for suspects, who are seldom chosen."""

_OF_THE_NODE: Final = frozenset(
    {Cause.UNREACHABLE, Cause.REFUSED, Cause.HUNG, Cause.TIMEOUT, Cause.STORAGE, Cause.GARBLED, Cause.LOST}
)
"""What speaks against a node. All else is about who asks, or his way there: a key that is missing makes none sick."""


def next_streak(streak: FailureStreak, *, answered: bool, now_s: float, suspect_after: int | None) -> FailureStreak:
    """What one more probe makes of it; `suspect_after` None: nothing is ever suspect."""
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
    """What is to be kept of those of which this sweep has changed something.

    Where several were asked and none has answered, more likely we are cut off: that says nothing of any of them.
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
            continue  # as nearly all of ten thousand
        streak = next_streak(was, answered=answered, now_s=now_s, suspect_after=suspect_after)
        if streak != was:
            changed[answer.node] = streak
    return changed


_UNSTRAINED: Final = FailureStreak()


def listen_s(
    awaited: Iterable[NodeName], streaks: Mapping[NodeName, FailureStreak], *, quiet_s: float | None
) -> float | None:
    """How much longer a placement waits for these nodes; None: as long as each may take.

    `quiet_s`: how long ago another one was measured; None: none was, and then it is suspects or nobody.
    """
    if quiet_s is None or not all(streaks.get(node, _UNSTRAINED).suspect for node in awaited):
        return None
    return max(0.0, GRACE_S - quiet_s)


def not_awaited(node: NodeName) -> Silent:
    """What is said of one that was given up so. It counts neither as failed nor as answered."""
    return Silent(
        node=node,
        cause=Cause.NOT_AWAITED,
        reason=f"it is suspect, and did not answer within {GRACE_S:g} s of the others",
    )


def marked_suspect(answer: Answer, streak: FailureStreak) -> Answer:
    """The same, with why it is suspect if it is."""
    if not streak.suspect:
        return answer
    failed = f"{streak.silent} probe{'s' if streak.silent != 1 else ''} in a row failed"
    if isinstance(answer, Measured):
        return replace(answer, suspect=f"{failed}; answered {streak.answered} of {BACK_AFTER}")
    return replace(answer, suspect=failed)
