"""What users see of tasks, to the letter: the joblog, the summary, and the line that shows how far they have come."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from clbalance.job import Cancelled, End, Exited, Killed, Lost, TimedOut
from clbalance.model import Cause, NodeName
from clbalance.render.renderer import Format, Renderer, renderer
from clbalance.render.tasks import progress_line, summary_line, task_row, worth_telling
from clbalance.task import Task, TaskProgress, TaskRecord

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORMS: dict[str, Renderer] = {
    "80.txt": renderer(Format.HUMAN, terminal_width=80, color=False),
    "pipe.txt": renderer(Format.HUMAN, terminal_width=None, color=False),
    "json.json": renderer(Format.JSON, terminal_width=None, color=False),
    "plain.txt": renderer(Format.PLAIN, terminal_width=None, color=False),
}


def record(number: int, command: str, end: End | None = None, *, given: bool = True) -> TaskRecord:
    task = Task(number=number, words=(command,) if command else ())
    if not given:
        return TaskRecord(task=task)
    node = NodeName(f"node{number}")
    return TaskRecord(task=task, node=node, claim=1, end=end, seconds=2.5, at=None if end is None else NOON)


RECORDS = (
    record(1, "make -C /srv/app", Exited(rc=0)),
    record(2, "grep -c [red]x[/red] $'\x1b[31m' \x9b2J \u202e", Exited(rc=1)),
    record(3, "", Killed(signal=9)),
    record(4, "sleep 300", TimedOut(limit_s=2.5)),
    record(5, "a\ttab and a\rreturn, and a line that is longer than anybody wants to read of it", Cancelled(why="by [b]u")),
    record(6, "\udcff", Lost(cause=Cause.HUNG, why="")),
    record(7, "runs"),
    record(1_000_000, "waits", given=False),
)  # fmt: skip
ROWS = [task_row(one) for one in RECORDS]


@pytest.mark.parametrize("form", FORMS)
def test_the_joblog(form: str, golden: Callable[[str, str], None]) -> None:
    text = FORMS[form].tasks(ROWS)
    if form.startswith("json"):
        text = json.dumps(json.loads(text), indent=1, ensure_ascii=True) + "\n"
    golden(f"tasks-{form}", text)


@pytest.mark.parametrize("form", FORMS)
def test_a_command_cannot_speak_to_the_terminal(form: str) -> None:
    text = FORMS[form].tasks(ROWS)
    assert not [char for char in "\x1b\x9b\r\u202e" if char in text]
    assert form.startswith("json") or "[red]x[/red]" in text


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


def test_how_it_ended() -> None:
    assert summary_line(ROWS[:1], "why") == "1 of 1 tasks completed"
    told = "1 of 8 tasks completed, 1 not started, 2 unknown, 2 failed, 1 cancelled, 1 timeout: stopped by SIGINT"
    assert summary_line(ROWS, "stopped by SIGINT") == told


def test_what_did_well_or_was_not_started_is_not_worth_a_line() -> None:
    assert [row.task for row in worth_telling(ROWS)] == [2, 3, 4, 5, 6, 7]
    assert len(worth_telling([ROWS[1]] * 1000)) == 20
