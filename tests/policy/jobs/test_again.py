"""Whether a job is started again: as its submitter asked, and never while it may still run."""

import pytest

from clbalance.model import Cause, NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import Cancelled, End, Exited, Killed, Lost, NodeFailed, NotStarted, Outcome, TimedOut
from clbalance.policy.jobs.requeue import MOST_NODE_FAILURES, Retry, next_retry

GONE = NodeFailed(reason="booted")
LOST = Lost(cause=Cause.HUNG, reason="")
ENDED_WITH_IT = Cancelled(reason="it could not start on a")
ALWAYS = RestartPolicy(retry=99, requeue=True, requeue_exits=frozenset({85}))


def asked(restart_policy: RestartPolicy, *ends: End, failures: int = 0, node_failures: int = 0) -> Retry | None:
    names = [NodeName(name) for name in "abcd"]
    outcomes = [
        Outcome(node=node, rank=rank, end=end, seconds=0.0)
        for rank, (node, end) in enumerate(zip(names, ends, strict=False))
    ]
    return next_retry(restart_policy, tuple(outcomes), failures=failures, node_failures=node_failures)


@pytest.mark.parametrize("end", [Exited(rc=0), Exited(rc=3), Killed(signal=9), GONE, NotStarted(reason="")])
def test_nothing_is_started_again_unasked(end: End) -> None:
    assert asked(RestartPolicy(), end) is None


@pytest.mark.parametrize("end", [Exited(rc=0), TimedOut(limit_s=1.0), Cancelled(reason="by u"), LOST])
def test_what_nobody_wants_again_or_may_still_run_is_left(end: End) -> None:
    assert asked(ALWAYS, end) is None


def test_without_an_end_there_is_nothing_to_do_again() -> None:
    assert asked(ALWAYS) is None


def test_a_copy_that_may_still_run_keeps_all_of_the_job() -> None:
    for end in (GONE, Exited(rc=85), Exited(rc=3)):
        assert asked(ALWAYS, end, LOST) is None


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (Exited(rc=3), "it failed there"),
        (Killed(signal=9), "it failed there"),
        (NotStarted(reason="no"), "it could not start there"),
    ],
)
def test_a_failure_is_retried_elsewhere_so_often_as_asked(end: End, reason: str) -> None:
    restart_policy = RestartPolicy(retry=2)
    expected = Retry(reason="a failure on b", excluded_nodes={NodeName("b"): reason})
    assert asked(restart_policy, ENDED_WITH_IT, end, failures=1) == expected
    assert asked(restart_policy, ENDED_WITH_IT, end, failures=2) is None


def test_a_job_that_timed_out_anywhere_is_not_retried() -> None:
    assert asked(RestartPolicy(retry=1), Exited(rc=3), TimedOut(limit_s=1.0)) is None


def test_a_node_failure_is_no_failure_of_the_job() -> None:
    assert asked(RestartPolicy(retry=1), GONE) is None
    assert asked(RestartPolicy(requeue=True), GONE, Exited(rc=0)) == Retry(
        reason="node failure of a", excluded_nodes={NodeName("a"): "the node failed under it"}
    )


def test_a_job_that_takes_its_nodes_down_is_not_fed_every_node() -> None:
    assert asked(RestartPolicy(requeue=True), GONE, node_failures=MOST_NODE_FAILURES - 1)
    assert asked(RestartPolicy(requeue=True), GONE, node_failures=MOST_NODE_FAILURES) is None


def test_a_code_that_asks_for_it_is_no_reason_to_go_elsewhere() -> None:
    assert asked(ALWAYS, Exited(rc=85), Exited(rc=0), failures=99) == Retry(reason="exit code 85", excluded_nodes={})
