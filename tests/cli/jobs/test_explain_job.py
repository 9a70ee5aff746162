"""`explain JOB`: why a job has not gone back to where it was, each reason by its name."""

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended
from tests.cli.held_jobs import LATER, let_go
from tests.cli.migrations import (
    CHECKPOINT,
    KINDS,
    NODES,
    ONCE,
    SLOW,
    WAITS,
    diary,
    moved_past_a_dead_target,
    orphan,
    record,
    runs,
    start_mover,
    word,
)


def told_of(clbalance: Command, node: str) -> str:
    """What the newest plan of job 1 says of a node."""
    rows = [line.split("\t") for line in clbalance("explain", "1", "--format", "plain").lines]
    return next(row[3] for row in reversed(rows) if row[0] == node)


def test_a_node_from_which_a_job_was_only_moved_away_has_not_failed(clbalance: Command) -> None:
    """Its mover died as the job was stopped, and `rebalance` started it again from the queue."""
    orphan(clbalance, *KINDS["requeue"])
    asked, src, dst = word(clbalance)
    assert start_mover(clbalance, asked, CLBALANCE_FAIL_AT="move-ended").wait() == -9
    assert clbalance("rebalance", *NODES, "--apply").rc == 0
    assert record(clbalance).nodes == (dst,)
    assert told_of(clbalance, src) == "excluded: it was moved away from there"
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7


def test_a_move_whose_target_was_lost_tells_the_same(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *LATER, "-w", "node[1-3]", *CHECKPOINT, "-c", SLOW)
    src, _ = moved_past_a_dead_target(lab, clbalance)
    assert told_of(clbalance, src) == "excluded: it was moved away from there"
    let_go(clbalance)
    assert ended(child) == 7


def test_a_node_that_failed_under_a_job_is_told_so(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *NODES, "--requeue", "-c", ONCE + WAITS)
    runs(clbalance)
    ((src, *_),) = diary(clbalance)
    lab.node(src).kill()
    lab.node(src).boot()
    runs(clbalance, starts=2)
    let_go(clbalance)
    assert ended(child) == 7
    assert told_of(clbalance, src) == "excluded: the node failed under it"
