"""What users see of tasks beside the joblog: the summary, and the line that shows how far they have come."""

import pytest

from clbalance.model.task import TaskProgress
from clbalance.render.reports.jobs.tasks import TasksReport, failed_rows, progress_line
from tests.render.examples import DISPLAYS
from tests.render.examples.tasks import ROWS


@pytest.mark.parametrize("form", DISPLAYS)
def test_a_command_cannot_speak_to_the_terminal(form: str) -> None:
    text = DISPLAYS[form].text(TasksReport(ROWS))
    assert not [char for char in "\x1b\x9b\r\u202e" if char in text]
    assert form == "json" or "[red]x[/red]" in text


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (TaskProgress(total=20, running=4, done=0, failed=0, left_s=None), "0/20 tasks, 4 running"),
        (
            TaskProgress(total=2000, running=64, done=1203, failed=3, left_s=42.0),
            "1203/2000 tasks, 64 running, 3 failed, 42.0s left",
        ),
        (TaskProgress(total=20, running=0, done=20, failed=0, left_s=0.0), "20/20 tasks, 0 running, 0.00s left"),
    ],
)
def test_how_far_they_have_come(progress: TaskProgress, line: str) -> None:
    assert progress_line(progress) == line


def test_what_did_well_or_was_not_started_is_not_worth_a_line() -> None:
    assert [row.task for row in failed_rows(ROWS)] == [2, 3, 4, 5, 6, 7]
    assert len(failed_rows([ROWS[1]] * 1000)) == 20
