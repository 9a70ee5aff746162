"""What running jobs take, as people and programs see it."""

import json

import pytest

from clbalance.model.job_record import Usage
from clbalance.render.jobs.row import JobRow
from clbalance.render.reports.jobs.jobs import JobsReport
from tests.render.examples import DISPLAYS

MIB = 1 << 20


def row(name: str, usage: Usage | None) -> JobRow:
    return JobRow(
        id=1,
        name=name,
        user="ann",
        state="RUNNING",
        reason="",
        rc=None,
        node_set="n1",
        seconds=9.0,
        attempt=1,
        usage=usage,
    )


TRAIN = row("train", Usage(cpu_s=125.0, mem_bytes=1536 * MIB))
PLAIN = row("plain", None)


def test_columns_are_there_for_who_has_something_in_them() -> None:
    lines = DISPLAYS["pipe"].text(JobsReport([TRAIN, PLAIN])).splitlines()
    assert [line.split()[3:6] for line in lines] == [
        ["TIME", "CPUTIME", "MEMUSED"],
        ["9.00s", "2:05", "1.5G"],
        ["9.00s", "-", "-"],
    ]
    assert "CPU" not in DISPLAYS["pipe"].text(JobsReport([PLAIN]))


@pytest.mark.parametrize(("shown", "parts"), [(TRAIN, (125.0, 1536 * MIB)), (PLAIN, (None, None))])
def test_programs_find_both_keys_whatever_is_known(shown: JobRow, parts: tuple[object, object]) -> None:
    (job,) = json.loads(DISPLAYS["json"].text(JobsReport([shown])))["jobs"]
    assert (job["cpu_s"], job["mem_bytes"]) == parts
