"""The journal of the runs of playbooks on this host, in the state database (docs/design/playbooks.md)."""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, assert_never

from clbalance.errors import LockedError, StoreError
from clbalance.model import NodeName
from clbalance.model.play_run import (
    NodeChanged,
    NodeProgress,
    NodeState,
    PlayEvent,
    PlayRun,
    PlaySummary,
    RunState,
    StepRecord,
    StepState,
)
from clbalance.store.database import as_store_error, storable, transaction
from clbalance.store.job_rows import microseconds
from clbalance.store.ownership import JobControl
from clbalance.store.plays.old_runs import forget_old_runs
from clbalance.store.plays.rows import (
    RUN_COLUMNS,
    STEP_COLUMNS,
    Texts,
    bounded_reason,
    ended_values,
    names_text,
    node_state,
    play_run,
    step_record,
    variables_text,
)
from clbalance.store.result_groups import keep_results

_BUSY_TIMEOUT_MS: Final = 60_000
"""A run of hours does not end because another process writes for longer than usual."""


class SqlitePlays:
    """`ports.PlayJournal` and `ports.PlayHistory` on a database that `SqliteStore` has opened."""

    def __init__(
        self, connection: sqlite3.Connection, database: Path, reached: Callable[[str], None] | None = None
    ) -> None:
        """`reached`: is told of the points at which tests kill the process."""
        self._connection = connection
        self._database = database
        self._reached = reached or _nothing
        self._control = JobControl(connection, database, None)

    def close(self) -> None:
        """Give up the run of this process, if it has one."""
        self._control.close()

    # -- writing

    def begin(self, run: PlayRun) -> int:
        mine = self._control.mine()
        at_us = microseconds(run.started_at)
        values = {
            "playbook": storable(run.playbook),
            "file": storable(run.file),
            "text_hash": run.text_hash,
            "typed": variables_text(run.typed),
            "by": storable(run.by),
            "submit_host": storable(run.submit_host),
            "started_us": at_us,
            "since_us": at_us,
            "state": RunState.RUNNING.value,
            "controller": mine,
            "pid": os.getpid(),
            "pool": names_text(run.pool),
            "rolls_back": run.rolls_back,
            "content": storable(run.text),
        }
        marks = ", ".join("?" * len(values))
        statement = f"INSERT INTO play ({', '.join(values)}) VALUES ({marks})"  # noqa: S608 (only our own text)
        with as_store_error(self._database):
            self._wait_longer()
            forget_old_runs(self._connection, self._control.is_alive)
            with transaction(self._connection):
                self._refuse_second(storable(run.file))
                number = self._connection.execute(statement, tuple(values.values())).lastrowid
                assert number is not None
                self._connection.executemany(
                    "INSERT INTO play_node (run, node, rank, state) VALUES (?, ?, ?, ?)",
                    ((number, node, rank, NodeState.NOT_STARTED.value) for rank, node in enumerate(run.nodes)),
                )
        return number

    def go_on(self, number: int, at: datetime, text: str, text_hash: str) -> PlayRun:
        mine = self._control.mine()
        statement = """
            UPDATE play SET state = ?, reason = '', controller = ?, pid = ?, since_us = ?, ended_us = NULL,
                continued = continued + 1, bytes = NULL, content = ?, text_hash = ?
            WHERE id = ?
        """
        values = (RunState.RUNNING.value, mine, os.getpid(), microseconds(at), storable(text), text_hash, number)
        with as_store_error(self._database):
            self._wait_longer()
            with transaction(self._connection):
                row = self._connection.execute("SELECT file FROM play WHERE id = ?", (number,)).fetchone()
                if row is None:
                    raise StoreError(f"there is no run {number}", hint="`clbalance play --history` shows the runs")
                self._refuse_second(row[0])
                before = self.run(number)
                assert before is not None
                self._connection.execute(statement, values)
        return before

    def start_turn(self, number: int, node: NodeName) -> int | None:
        running = NodeState.RUNNING.value
        others = f"""
            SELECT play.id, controller FROM play_node JOIN play ON play.id = run
            WHERE node = ? AND play_node.state = '{running}' AND play.state = '{RunState.RUNNING}' AND play.id != ?
        """  # noqa: S608 (only our own text)
        with as_store_error(self._database), transaction(self._connection):
            for other, controller in self._connection.execute(others, (node, number)).fetchall():
                if self._control.is_alive(controller):
                    return int(other)
            self._change(number, NodeChanged(node=node, state=NodeState.RUNNING))
        return None

    def write(self, number: int, event: PlayEvent) -> None:
        if isinstance(event, StepRecord) and event.ended is not None:
            self._reached("step_done")
        self._write(number, event)
        if isinstance(event, StepRecord):
            self._reached("step_begun" if event.ended is None else "step_ended")

    def _write(self, number: int, event: PlayEvent) -> None:
        with as_store_error(self._database), transaction(self._connection):
            match event:
                case StepRecord(ended=None):
                    self._begin_step(number, event)
                case StepRecord():
                    self._end_step(number, event)
                case NodeChanged():
                    self._change(number, event)
                case _:
                    assert_never(event)

    def end(self, number: int, at: datetime, state: RunState, reason: str) -> None:
        statement = "UPDATE play SET state = ?, reason = ?, ended_us = ?, controller = NULL, pid = NULL WHERE id = ?"
        with as_store_error(self._database), transaction(self._connection):
            self._connection.execute(statement, (state.value, bounded_reason(reason), microseconds(at), number))
        self._control.close()

    def keep_results(self, number: int, sets: Mapping[str, str]) -> None:
        keep_results(self._database.parent, number, sets, what="run")

    def _begin_step(self, number: int, record: StepRecord) -> None:
        begun_us = microseconds(record.begun_at)
        query = "SELECT id, state, list, step FROM play_step WHERE run = ? AND node = ? ORDER BY id DESC LIMIT 1"
        last = self._connection.execute(query, (number, record.node)).fetchone()
        if last is not None and last[1:] == (StepState.REFUSED, record.steps, record.index):
            again = "UPDATE play_step SET begun_us = ?, ended_us = NULL, state = NULL, reason = '' WHERE id = ?"
            self._connection.execute(again, (begun_us, last[0]))
            return
        statement = "INSERT INTO play_step (run, node, list, step, attempt, begun_us) VALUES (?, ?, ?, ?, ?, ?)"
        values = (number, record.node, record.steps.value, record.index, record.attempt, begun_us)
        self._connection.execute(statement, values)

    def _end_step(self, number: int, record: StepRecord) -> None:
        assert record.ended is not None
        assert record.ended_at is not None
        statement = """
            UPDATE play_step SET state = ?, changed = ?, rc = ?, reason = ?, out = ?, err = ?, ended_us = ?
            WHERE id = (SELECT max(id) FROM play_step WHERE run = ? AND node = ?)
        """
        values = (*ended_values(record.ended), microseconds(record.ended_at), number, record.node)
        self._connection.execute(statement, values)

    def _change(self, number: int, changed: NodeChanged) -> None:
        statement = "UPDATE play_node SET state = ?, reason = ?, rolled_back = ? WHERE run = ? AND node = ?"
        values = (changed.state.value, bounded_reason(changed.reason), changed.rolled_back, number, changed.node)
        self._connection.execute(statement, values)

    def _refuse_second(self, file: str) -> None:
        """`LockedError` if a living process runs the playbook. Within a transaction: of two, one is the first."""
        query = f"SELECT {RUN_COLUMNS} FROM play WHERE file = ? AND state = ?"  # noqa: S608 (only our own text)
        for row in self._connection.execute(query, (file, RunState.RUNNING.value)).fetchall():
            run = play_run(row, self._control.is_alive, Texts())
            if run.state is RunState.RUNNING:
                since = run.since or run.started_at
                raise LockedError(
                    f"`{run.file}` is being run already: run {run.number} of {run.by}, pid {run.pid}, since"
                    f" {since.astimezone():%Y-%m-%d %H:%M:%S}",
                    hint=f"`clbalance play --show {run.number}` shows how far it is",
                )

    def _wait_longer(self) -> None:
        # A pragma takes no parameters; the number is our own.
        self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")

    # -- reading

    def runs(self, *, playbook: str | None = None, newest: int = 20) -> Sequence[PlaySummary]:
        wanted = "" if playbook is None else "WHERE playbook = ? OR file = ?"
        query = f"SELECT {RUN_COLUMNS} FROM play {wanted} ORDER BY id DESC LIMIT ?"  # noqa: S608 (only our own text)
        names = () if playbook is None else (storable(playbook),) * 2
        with as_store_error(self._database):
            rows = self._connection.execute(query, (*names, newest)).fetchall()
            runs = [play_run(row, self._control.is_alive, Texts()) for row in rows]
            return tuple(PlaySummary(run=run, counts=self._counts(run.number)) for run in runs)

    def _counts(self, number: int) -> Mapping[NodeState, int]:
        query = "SELECT state, count(*) FROM play_node WHERE run = ? GROUP BY state"
        return {node_state(state): count for state, count in self._connection.execute(query, (number,))}

    def run(self, number: int) -> PlayRun | None:
        query = f"SELECT {RUN_COLUMNS}, content, pool FROM play WHERE id = ?"  # noqa: S608 (only our own text)
        nodes = "SELECT node FROM play_node WHERE run = ? ORDER BY rank"
        with as_store_error(self._database):
            row = self._connection.execute(query, (number,)).fetchone()
            if row is None:
                return None
            names = tuple(NodeName(node) for (node,) in self._connection.execute(nodes, (number,)))
        *columns, text, pool = row
        return play_run(columns, self._control.is_alive, Texts(text=text, pool=pool, nodes=names))

    def unfinished(self) -> int | None:
        query = """
            SELECT id FROM play WHERE EXISTS (SELECT 1 FROM play_node WHERE run = play.id AND state != ?)
            AND id NOT IN (SELECT rolls_back FROM play WHERE rolls_back IS NOT NULL)
            ORDER BY id DESC LIMIT 1
        """
        with as_store_error(self._database):
            row = self._connection.execute(query, (NodeState.OK.value,)).fetchone()
        return None if row is None else int(row[0])

    def rollbacks(self, number: int) -> Sequence[int]:
        query = "SELECT id FROM play WHERE rolls_back = ? ORDER BY id"
        with as_store_error(self._database):
            return tuple(int(found) for (found,) in self._connection.execute(query, (number,)))

    def progress(self, number: int, *, output: bool = True) -> Sequence[NodeProgress]:
        texts = "out, err" if output else "'', ''"
        steps = f"SELECT {STEP_COLUMNS}, {texts} FROM play_step WHERE run = ? ORDER BY id"  # noqa: S608 (only our own text)
        nodes = "SELECT node, state, reason, rolled_back FROM play_node WHERE run = ? ORDER BY rank"
        records: dict[str, list[StepRecord]] = {}
        with as_store_error(self._database):
            for *columns, out, err in self._connection.execute(steps, (number,)):
                records.setdefault(columns[0], []).append(step_record(columns, out, err))
            rows = self._connection.execute(nodes, (number,)).fetchall()
        return tuple(
            NodeProgress(
                node=NodeName(node),
                state=node_state(state),
                reason=reason,
                rolled_back=bool(rolled_back),
                records=tuple(records.get(node, ())),
            )
            for node, state, reason, rolled_back in rows
        )


def _nothing(_point: str) -> None:
    """Without a test, each point is passed."""
