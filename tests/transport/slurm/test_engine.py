"""What Slurm says of a job beside what its folder holds. Slurm's programs are others here, which print what they might."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from clbalance.model import NodeName, Request
from clbalance.model.engine import Accepted, EngineJob, EngineOrder, Prepared
from clbalance.model.job import Command, JobSpec, NoInput
from clbalance.model.job_record import Exited, JobState
from clbalance.transport.slurm.engine import SlurmEngine
from clbalance.transport.slurm.folder import JobFolder
from tests.waiting import SOON_S

NAME = "ab.1"
JOB = JobSpec(
    id=3, key="ab", name="train", payload=Command(argv=("true",)), chdir="/", chdir_explicit=False, umask=0o22
)
BEGINS = "mkdir {folder}/claim; echo 7 n1 100 >{folder}/claim/job; "
ENDS = "echo 3 160 >{folder}/exit.0; "


class Programs:
    """A folder for the PATH, and an engine that uses it. No other program is there, beside those of the shell."""

    def __init__(self, tmp_path: Path) -> None:
        self._bin = tmp_path / "bin"
        self._bin.mkdir()
        self.environ = {"PATH": f"{self._bin}:{os.defpath}"}
        self.folder = tmp_path / "jobs" / NAME
        order = EngineOrder(name=NAME, job=JOB, request=Request(), candidates=(NodeName("n1"),))
        JobFolder(self.folder).lay_out(order, NoInput(), copies=1)

    def make(self, program: str, text: str) -> None:
        file = self._bin / program
        file.write_text("#!/bin/sh\n" + text.format(folder=self.folder) + "\n")
        file.chmod(0o755)

    def engine(self) -> SlurmEngine:
        return SlurmEngine(self.folder.parent, answer_within_s=SOON_S, environ=self.environ)

    def look_up(self) -> EngineJob | None:
        return self.engine().look_up([NAME]).get(NAME)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    found = Programs(tmp_path)
    found.make("sacct", "exit 1")
    found.make("scontrol", "exit 1")
    return found


def shown(state: str) -> str:
    return f"echo '{NAME}|7|{state}|n1|N/A|N/A|None'"


def ends(job: EngineJob | None) -> Sequence[object]:
    assert job is not None
    return [one.end for one in job.outcomes]


@pytest.mark.parametrize("said", [shown("COMPLETED"), ":"], ids=["over", "forgotten"])
def test_a_job_that_runs_while_slurm_is_asked_has_run(programs: Programs, said: str) -> None:
    programs.make("squeue", BEGINS + ENDS + said)
    assert ends(programs.look_up()) == [Exited(rc=3)]


def test_a_job_that_begins_while_slurm_is_asked_is_not_missing(programs: Programs) -> None:
    programs.make("squeue", BEGINS)
    found = programs.look_up()
    assert found is not None
    assert (found.is_forgotten, found.nodes) == (True, ("n1",))


def test_copies_are_told_apart_by_rank_whatever_the_names_of_their_nodes(programs: Programs) -> None:
    (programs.folder / "terms").write_text("2 0 0\n")
    programs.make("squeue", "exit 1")
    for word, text in (("claim/job", "7 b1,a1, 100"), ("exit.0", "3 160"), ("exit.1", "4 160")):
        (programs.folder / word).parent.mkdir(exist_ok=True)
        (programs.folder / word).write_text(text)
    found = programs.look_up()
    assert found is not None
    assert [(one.node, one.end) for one in found.outcomes] == [("b1", Exited(rc=3)), ("a1", Exited(rc=4))]


def test_a_code_like_that_of_a_signal_counts_once_slurm_has_forgotten_the_job(programs: Programs) -> None:
    programs.make("squeue", BEGINS + "echo 139 160 >{folder}/exit.0")
    assert ends(programs.look_up()) == [Exited(rc=139)]


def test_what_a_user_has_chosen_for_his_own_calls_hides_no_job(programs: Programs) -> None:
    programs.environ |= {"SQUEUE_PARTITION": "other", "SLURM_TIME_FORMAT": "relative"}
    programs.make("squeue", 'if [ -z "$SQUEUE_PARTITION$SLURM_TIME_FORMAT" ]; then ' + shown("PENDING") + "; fi")
    found = programs.look_up()
    assert found is not None
    assert found.state is JobState.PENDING


def test_a_submission_from_within_a_job_knows_nothing_of_that_job(programs: Programs) -> None:
    programs.environ |= {"SLURM_CONF": "/c", "SLURM_MEM_PER_CPU": "1", "SBATCH_WAIT": "1", "SBATCH_QOS": "low"}
    programs.make("sbatch", '[ "$SLURM_CONF$SLURM_MEM_PER_CPU$SBATCH_WAIT$SBATCH_QOS" = /clow ] && echo 12')
    assert programs.engine().submit(Prepared(name=NAME)) == Accepted("12")
