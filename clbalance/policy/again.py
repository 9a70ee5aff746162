"""Whether a job that has ended is started once more, and where not. Pure."""

from collections.abc import Mapping

from clbalance.job import Exited, JobState, NodeFailed, Outcome, Tries
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.elsewhere import why_elsewhere
from clbalance.policy.verdict import state_of

MOST_NODE_FAILURES = 5
"""A job that takes its nodes down with it is not fed every node of the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Start it again, after what; if possible on none of `avoid`, which says why not there."""

    reason: str
    avoid: Mapping[NodeName, str]


def again(tries: Tries, outcomes: tuple[Outcome, ...], *, failures: int, node_failures: int) -> Again | None:
    """`failures` and `node_failures`: how many attempts have ended so before this one.

    Cancelled and timed out jobs are not started again, and nothing is while a copy may still run.
    """
    states = {state_of(outcome.end) for outcome in outcomes}
    if JobState.RUNNING in states or not outcomes:
        return None
    if gone := {one.node: why_elsewhere(one.end) for one in outcomes if isinstance(one.end, NodeFailed)}:
        if tries.requeue and node_failures < MOST_NODE_FAILURES:
            return Again(reason=f"node failure of {', '.join(sorted(gone))}", avoid=gone)
        return None
    if asked := {end.rc for end in (one.end for one in outcomes) if isinstance(end, Exited)} & tries.requeue_exits:
        return Again(reason=f"exit code {max(asked)}", avoid={})
    if states <= {JobState.FAILED, JobState.CANCELLED, JobState.COMPLETED} and JobState.FAILED in states:
        failed = {one.node: why_elsewhere(one.end) for one in outcomes if state_of(one.end) is JobState.FAILED}
        if failures < tries.retry:
            return Again(reason=f"a failure on {', '.join(sorted(failed))}", avoid=failed)
    return None
