"""What squeue, sacct, scontrol and sinfo print, read."""

import pytest

from clbalance.model import NodeName
from clbalance.model.slurm import SlurmJob
from clbalance.probe.slurm.jobs import exit_of_shown, expanded, sacct_jobs, sinfo_nodes, squeue_jobs


def test_a_line_of_squeue_is_a_job() -> None:
    text = "ab.1|1|RUNNING|node[5-6]|2026-11-30T17:44:14|NONE|None\nab.2|5|PENDING||N/A|NONE|Reservation, a|b\n"
    assert list(squeue_jobs(text)) == [
        SlurmJob(
            name="ab.1",
            id="1",
            state="RUNNING",
            nodes=(NodeName("node5"), NodeName("node6")),
            began_at="2026-11-30T17:44:14",
        ),
        SlurmJob(name="ab.2", id="5", state="PENDING", reason="Reservation, a|b"),
    ]


@pytest.mark.parametrize(
    "text", ["", "\n", "ab.1|1|RUNNING\n", "|1|RUNNING|n1|x|y|z\n", "ab.1|1||n1|x|y|z\n", "slurm_load_jobs error"]
)
def test_what_is_no_job_is_left_out(text: str) -> None:
    assert list(squeue_jobs(text)) == []


def test_a_line_of_sacct_is_a_job_with_its_exit_code() -> None:
    text = "ab.1|7|CANCELLED by 0|n1|2026-11-30T17:44:14|2026-11-30T17:44:15|0:15\n"
    (job,) = sacct_jobs(text)
    assert (job.state, job.rc, job.signal, job.nodes) == ("CANCELLED", 0, 15, (NodeName("n1"),))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("JobId=1 JobName=ab.1 JobState=FAILED ExitCode=3:0 Comment=x ExitCode=0:0", (3, 0)),
        ("JobId=1 ExitCode=0:53 RunTime=0", (0, 53)),
        ("JobId=1 ExitCode=x:y", (None, 0)),
        ("", (None, 0)),
    ],
)
def test_the_exit_code_is_that_which_no_person_has_written(text: str, found: tuple[int | None, int]) -> None:
    assert exit_of_shown(text) == found


def test_a_node_stands_once_for_each_partition() -> None:
    assert list(sinfo_nodes("n1|batch*|idle\nn1|big|mix\n\n")) == [
        (NodeName("n1"), "batch*", "idle"),
        (NodeName("n1"), "big", "mix"),
    ]


@pytest.mark.parametrize("text", ["", "None assigned", "n[1-", "-oProxyCommand=x", "a b"])
def test_what_is_no_node_list_names_no_node(text: str) -> None:
    assert expanded(text) == ()
