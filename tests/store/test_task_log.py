"""What every log of tasks promises, and what the one in a file bears."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest

from clbalance.errors import StoreError
from clbalance.model import Cause
from clbalance.model.job_record import Cancelled, End, Exited, Killed, Lost, NodeFailed, NotStarted, TimedOut
from clbalance.model.task import TaskEnded, TaskGiven, TaskRequeued, TaskReturned
from clbalance.ports import TaskLog
from clbalance.store.append_logs import FileTaskLog
from clbalance.store.in_memory_jobs import InMemoryTaskLog
from tests.waiting import eventually

from .build import NOON, node

ENDS: tuple[End, ...] = (
    Exited(rc=3),
    Killed(signal=9),
    TimedOut(limit_s=1.5),
    Cancelled(reason='a "b"\n\udcff'),
    NotStarted(reason="w", rc=127),
    NodeFailed(reason="é"),
    Lost(cause=Cause.HUNG, reason=""),
)
GIVEN = TaskGiven(number=1, node=node("n1"), claim=7)
RETURNED = TaskReturned(number=1, claim=7)
REQUEUED = TaskRequeued(number=1)
ENDED = tuple(
    TaskEnded(number=number, node=node("n1"), claim=7, end=end, seconds=0.25, at=NOON + timedelta(seconds=number))
    for number, end in enumerate(ENDS)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks" / "1.log"


@pytest.fixture(params=["file", "memory"])
def log(request: pytest.FixtureRequest, path: Path) -> TaskLog:
    return InMemoryTaskLog() if request.param == "memory" else FileTaskLog(path)


def test_nothing_is_known_of_a_job_that_has_given_none(log: TaskLog) -> None:
    assert log.events() == ()


def test_events_come_back_as_they_were_and_in_order(log: TaskLog) -> None:
    log.add([GIVEN], durable=True)
    log.add([], durable=True)
    log.add([RETURNED, GIVEN], durable=False)
    log.add([*ENDED, REQUEUED], durable=True)
    assert log.events() == (GIVEN, RETURNED, GIVEN, *ENDED, REQUEUED)


def test_a_sync_ends_once_and_says_whether_it_could_be_done(log: TaskLog) -> None:
    ended: SimpleQueue[StoreError | None] = SimpleQueue()
    log.add([GIVEN], durable=False)
    for _ in range(2):
        log.sync(ended.put)
    assert [ended.get(timeout=60.0) for _ in range(2)] == [None, None]
    assert ended.empty()
    log.close()


def test_a_sync_that_was_asked_for_is_done_although_the_log_is_closed(log: TaskLog) -> None:
    is_closed: SimpleQueue[None] = SimpleQueue()
    ended: SimpleQueue[StoreError | None] = SimpleQueue()

    def first(error: StoreError | None) -> None:
        if isinstance(log, FileTaskLog):  # the other one syncs in `sync`
            is_closed.get(timeout=60.0)
        ended.put(error)

    log.sync(first)
    log.sync(ended.put)
    log.close()
    is_closed.put(None)
    assert [ended.get(timeout=60.0) for _ in range(2)] == [None, None]
    log.add([GIVEN], durable=True)
    assert log.events() == (GIVEN,)
    log.close()


def test_a_closed_log_has_no_thread_and_no_open_file(path: Path) -> None:
    log = FileTaskLog(path)
    log.sync(lambda _: None)
    log.close()
    eventually(lambda: not any(thread.name == "clbalance-log" for thread in threading.enumerate()))
    assert path not in {fd.resolve() for fd in Path("/proc/self/fd").iterdir()}


def test_a_log_that_cannot_be_synced_says_why(path: Path) -> None:
    ended: SimpleQueue[StoreError | None] = SimpleQueue()
    path.parent.mkdir()
    os.mkfifo(path)
    log = FileTaskLog(path)
    log.sync(ended.put)
    assert isinstance(ended.get(timeout=60.0), StoreError)
    log.close()


def test_who_opens_it_again_goes_on_behind_what_there_is(path: Path) -> None:
    for event in (GIVEN, RETURNED):
        log = FileTaskLog(path)
        log.add([event], durable=False)
        log.close()
        log.close()
    assert FileTaskLog(path).events() == (GIVEN, RETURNED)


def test_a_log_torn_anywhere_loses_its_last_line_only_and_is_written_on(path: Path) -> None:
    FileTaskLog(path).add([GIVEN, ENDED[0]], durable=True)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert FileTaskLog(path).events() == (GIVEN,)
        FileTaskLog(path).add([RETURNED], durable=True)
        assert FileTaskLog(path).events() == (GIVEN, RETURNED)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\0",
        b"[]",
        b"{}",
        b'["given",1,"n1"]',
        b'["given","1","n1",7]',
        b'["later",1]',
        b'["ended",1,"n1",7,0.1,1,"{}"]',
        b'["ended",1,"n1",7,0.1,1,"[1]"]',
        b'["ended",1,"n1",7,0.1,99999999999999999999999,"{\\"is\\":\\"Exited\\",\\"rc\\":0}"]',
        b'["ended",1,"n1",7,0.1,1,"{\\"is\\":\\"Request\\"}"]',
    ],
)
def test_a_line_that_makes_no_sense_is_passed_over(path: Path, line: bytes) -> None:
    FileTaskLog(path).add([GIVEN], durable=True)
    path.write_bytes(path.read_bytes() + line + b"\n")
    FileTaskLog(path).add([RETURNED], durable=True)
    assert FileTaskLog(path).events() == (GIVEN, RETURNED)


def test_a_log_that_cannot_be_opened_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        FileTaskLog(path).add([GIVEN], durable=True)
    with pytest.raises(StoreError, match="Is a directory"):
        FileTaskLog(path).events()


def test_no_link_is_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(StoreError):
        FileTaskLog(path).add([GIVEN], durable=True)
    assert not (tmp_path / "elsewhere").exists()
