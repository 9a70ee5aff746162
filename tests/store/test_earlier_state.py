"""What a released program has written is read, and what is written now a released program can read.

The names in `state.db` and in the logs of tasks are those of the file format. They stay, whatever the classes and
fields are called in the code.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clbalance.model import Cause, NodeName
from clbalance.model.job import Script
from clbalance.model.job_record import Cancelled, JobState, Lost, MigrationStage, NodeFailed, NotStarted
from clbalance.model.task import TaskEnded
from clbalance.store.job_rows import from_text, to_text
from clbalance.store.result_groups import read_groups
from clbalance.store.state import SqliteStore

from .build import NOON, after
from .earlier import make_earlier_state

PACKED = {
    "job": ("submitted", "move"),
    "copy": ("outcome", "limits"),
    "placed": ("plan",),
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return make_earlier_state(tmp_path / "state")


def packed_texts(state: Path) -> Iterator[str]:
    with closing(sqlite3.connect(state / "state.db")) as database:
        for table, columns in PACKED.items():
            for column in columns:
                query = f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"
                yield from (text for (text,) in database.execute(query))
    for line in (state / "tasks" / "14.log").read_text().splitlines():
        kind, *_, last = json.loads(line)
        if kind == "ended":
            yield last


def holds(written: Any, earlier: Any) -> bool:
    """Whether everything of `earlier` is there, under the same names; there may be more."""
    match written, earlier:
        case dict(), dict():
            return all(key in written and holds(written[key], value) for key, value in earlier.items())
        case list(), list():
            return len(written) == len(earlier) and all(map(holds, written, earlier))
        case _:
            return type(written) is type(earlier) and written == earlier


def test_values_are_written_under_the_names_that_they_were_read_by(state: Path) -> None:
    texts = list(packed_texts(state))
    assert len(texts) > 60
    for text in texts:
        assert holds(json.loads(to_text(from_text(text, object))), json.loads(text)), text


def test_the_names_in_the_file_are_all_known_from_here(state: Path) -> None:
    seen = {name for text in packed_texts(state) for name in names(json.loads(text))}
    ends = {"Cancelled", "Exited", "Killed", "Lost", "NodeFailed", "NotStarted", "OutOfMemory", "TimedOut"}
    rest = {"Checkpoint", "Command", "Constraints", "JobSpec", "MoveOrder", "Outcome", "Preference", "Request", "Score"}
    assert seen == ends | rest | {"Script", "Submitted", "TaskRules", "Term", "Tries", "Unfit"}


def names(packed: Any) -> Iterator[str]:
    if isinstance(packed, dict):
        if "is" in packed:
            yield packed["is"]
        for value in packed.values():
            yield from names(value)
    elif isinstance(packed, list):
        for value in packed:
            yield from names(value)


def test_jobs_have_the_states_ends_and_migrations_that_they_had(state: Path) -> None:
    with SqliteStore.open(state) as store, closing(store.journal()) as journal:
        records = journal.records(over=True)
        assert {record.state for record in records} == set(JobState)
        ends = {
            record.name: [one.outcome.end for one in journal.copies(record.id) if one.outcome] for record in records
        }
        assert ends["cancelled"] == [Cancelled(reason="cancelled by alice")]
        assert ends["absent"] == [NotStarted(reason="`train.sh`: not found", rc=127)]
        assert ends["crashed"] == [NodeFailed(reason="the node was booted again")]
        orders = {record.name: journal.migration_request_of(record.id) for record in records}
        asked, meant, off = orders["move-asked"], orders["move-meant"], orders["move-off"]
        assert asked is not None
        assert (asked.stage, asked.reason, asked.dst) == (MigrationStage.REQUESTED, "gpu1 is above the level", "gpu2")
        assert meant is not None
        assert meant.stage is MigrationStage.COMMITTED
        assert off is not None
        assert (off.stage, off.abort_reason) == (MigrationStage.ABORTED, "gpu2 has refused")
        assert orders["running"] is None
        queued = next(record for record in records if record.name == "queued")
        assert (queued.queued, queued.priority) == (True, 2.5)


def test_a_job_is_started_again_as_it_was_submitted(state: Path) -> None:
    with SqliteStore.open(state) as store, closing(store.journal()) as journal:
        submitted = {record.name: journal.submitted(record.id) for record in journal.records(over=True)}
        again, script, tasks, copies = (submitted[name] for name in ("again", "script", "tasks", "copies"))
        assert again is not None
        assert (again.restart_policy.retry, again.restart_policy.requeue_exits, again.restart_policy.after) == (
            2,
            frozenset({85, 9}),
            (1,),
        )
        assert script is not None
        assert script.job.payload == Script(name="train.sh", content=None, args=("--lr", "0.1"))
        assert journal.script(13) == b"#!/bin/sh\necho \xff\n"
        assert tasks is not None
        assert tasks.rules is not None
        assert (tasks.rules.at_once, tasks.rules.max_fail) == (2, 50.0)
        assert [task.words for task in journal.tasks(14)] == [("a",), ("b", "c"), (), ()]
        assert copies is not None
        assert copies.request.constraints.tolerated == {"old"}


def test_the_log_of_tasks_says_what_it_said(state: Path) -> None:
    with SqliteStore.open(state) as store, closing(store.journal()) as journal:
        events = journal.task_log(14).events()
    assert len(events) == 8
    ends = [event.end for event in events if isinstance(event, TaskEnded)]
    assert ends[1:] == [
        NotStarted(reason="no such program", rc=127),
        Lost(cause=Cause.HUNG, reason="no answer within 10 s"),
    ]


def test_what_was_seen_of_nodes_and_counted_is_still_known(state: Path) -> None:
    seen, suspect = NodeName("gpu1"), NodeName("gpu4")
    with SqliteStore.open(state) as store:
        assert store.last_readings([seen])[seen].reading.boot_id == "b0"
        assert store.trends([seen], after(120.0))[seen]["r1m_per_cpu"].count == 1
        assert [point.asked for point in store.history([seen], NOON, after(600.0))[seen]] == [1, 1]
        streak = store.failure_streaks([suspect])[suspect]
        assert (streak.silent, streak.suspect) == (4, True)
        assert store.counters()["rebalance_runs_total"] == 3.0
    assert read_groups(state)["ok-1"] == "gpu1"
