"""Every window between two steps of a move (docs/design/rebalance.md): whoever dies there, the job runs once, then or
after the next `rebalance`. tests/sharing/test_killed_rebalance.py kills at random moments."""

import itertools

import pytest

from clbalance.lab.cluster import Lab
from clbalance.model.job_record import JobState
from tests.cli.command import Command, nothing_left
from tests.cli.held_jobs import let_go
from tests.cli.migrations import KINDS, NODES, diary, is_held, never_twice, orphan, record, runs, start_mover, word
from tests.faults.soak import trials
from tests.waiting import eventually

BEFORE = ("move-asked", "move-reserved", "move-meant")
"""Nothing has reached the job by then."""
BEHIND = ("move-stopped", "move-ended", "intended", "ordered", "started")
STARTS = {"move-stopped": {1, 2}}  # the order to stop may have died with who gave it, on its way
AGAIN = frozenset({"intended", "ordered", "started"})
"""A controller has come there before, with the first attempt."""


def cases(*points: str) -> list[tuple[str, str]]:
    """These, with one of the kinds in turn; where much is to be tried, all of them with each kind."""
    if trials(few=1, full=2) > 1:
        return [(point, kind) for point in (*BEFORE, *BEHIND) for kind in KINDS]
    return list(zip(points, itertools.cycle(sorted(KINDS, reverse=True)), strict=False))


@pytest.mark.parametrize(("point", "kind"), cases(*BEFORE, *BEHIND))
def test_who_moves_a_job_of_nobodys_dies(lab: Lab, clbalance: Command, point: str, kind: str) -> None:
    with nothing_left(lab):
        orphan(clbalance, *KINDS[kind])
        asked, _, _ = word(clbalance)
        start_mover(clbalance, asked, CLBALANCE_FAIL_AT=point).wait()
        check(clbalance, point)


@pytest.mark.parametrize(("point", "kind"), cases("move-meant", "move-ended", "intended"))
def test_a_controller_dies_that_moves_its_job(lab: Lab, clbalance: Command, point: str, kind: str) -> None:
    fails = Command(
        env={**clbalance.env, "CLBALANCE_FAIL_AT": f"{point}:2" if point in AGAIN else point},
        folder=clbalance.folder,
        opened=clbalance.opened,
    )
    with nothing_left(lab):
        run = fails.start("run", *NODES, *KINDS[kind])
        asked, _, _ = word(clbalance)
        mover = start_mover(clbalance, asked)
        assert run.wait() == -9
        assert mover.wait() == 0
        check(clbalance, point)


def check(clbalance: Command, point: str) -> None:
    """Two runs of `rebalance` at most, and it runs: where it was, or elsewhere for the second time."""
    for _ in range(2):
        done = clbalance("rebalance", *NODES, "--apply")
        assert done.rc == 0, done.stderr
        if is_held(clbalance.folder) and record(clbalance).state is JobState.RUNNING:
            break
    found = record(clbalance)
    assert found.state is JobState.RUNNING, found
    eventually(lambda: is_held(clbalance.folder))  # its first line may not have run yet
    wanted = STARTS.get(point, {1 if point in BEFORE else 2})
    runs(clbalance, min(wanted))
    starts = diary(clbalance)
    assert len(starts) in wanted, (found, starts)
    assert found.nodes == (starts[-1][0],)
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7
    assert len(diary(clbalance)) == len(starts)
    never_twice(clbalance)
