"""`cancel` against jobs that do not want to end: nothing is left after the grace time, whoever has started them."""

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, nothing_left
from tests.cli.run.test_run_ends import await_output
from tests.sharing.holding import leases_held
from tests.waiting import eventually

from .test_node_faults import started, told

ESCAPES = {
    "ignores TERM": "trap '' TERM HUP INT; echo up; while :; do sleep 301; done",
    "forks": "(trap '' TERM; sleep 302) & (trap '' TERM; sleep 302) & echo up; wait",
    "double-forks": "(sh -c '(trap \"\" TERM HUP; sleep 303 & wait) &' &) ; echo up; sleep 303",
    "calls setsid": "setsid sh -c 'trap \"\" TERM HUP; sleep 304 & wait' & echo up; sleep 304",
    "gives up its environment": "env -i setsid setsid sh -c 'trap \"\" TERM; sleep 305 & wait' & echo up; sleep 305",
    "forks whenever it is told to end": "trap '(setsid sleep 306 &)' TERM; echo up; while :; do sleep 0.1; done",
}
ALL_OF_IT = "\n".join(f"({text}) &" for text in ESCAPES.values()) + "\ntrap '' TERM; wait; sleep 307"
GONE_WITHIN_S = 60.0
"""After `cancel`, which has seen TERM, a second of grace, and KILL; for a slow machine."""


@pytest.mark.parametrize("text", [*ESCAPES.values(), ALL_OF_IT], ids=[*ESCAPES, "does all of it"])
def test_of_a_cancelled_job_nothing_is_left_whatever_it_does(lab: Lab, clbalance: Command, text: str) -> None:
    with nothing_left(lab, GONE_WITHIN_S):
        job = started(clbalance, "-w", "node[1-2]", "--pick", "2", text=text)
        assert clbalance("cancel", str(job)).rc == 0
        eventually(lambda: not any(leases_held(lab.node(name)) for name in ("node1", "node2")))
    state, reason = told(clbalance, job)
    assert state == "CANCELLED"
    assert reason.startswith("cancelled by ")


def test_a_run_whose_job_another_process_cancels_ends_and_says_so(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab, GONE_WITHIN_S):
        child = clbalance.start("run", "-w", "node1", "-c", ALL_OF_IT)
        await_output(child)
        assert clbalance("cancel", "1").rc == 0
        _, err = child.communicate()
        assert ended(child) == 125
        assert b"cancelled by " in err
    assert told(clbalance, 1)[0] == "CANCELLED"


def test_a_job_that_its_keeper_would_start_again_is_not_once_it_is_cancelled(lab: Lab, clbalance: Command) -> None:
    diary = clbalance.folder / "diary"
    with nothing_left(lab, GONE_WITHIN_S):
        job = started(
            clbalance,
            "--requeue",
            "--retry",
            "3",
            "-w",
            "node[1-2]",
            text=f"echo up >>{diary}; trap '' TERM; sleep 300 & wait",
        )
        eventually(diary.exists)
        assert clbalance("cancel", str(job)).rc == 0
        eventually(lambda: told(clbalance, job)[0] == "CANCELLED")
    assert diary.read_text() == "up\n"
