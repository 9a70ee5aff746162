"""How the ends of tasks become results and exceptions of futures."""

from concurrent.futures import Future, wait
from datetime import UTC, datetime
from typing import Any

import pytest

from clbalance.errors import TaskFailedError
from clbalance.library import task_jobs
from clbalance.library.bundles import Bundle, Item
from clbalance.library.calls import Stop
from clbalance.library.task_jobs import Ends, in_order
from clbalance.model import Cause, NodeName
from clbalance.model.job_record import (
    Cancelled,
    End,
    Exited,
    Killed,
    Lost,
    NodeFailed,
    NotStarted,
    OutOfMemory,
    TimedOut,
)
from clbalance.model.task import TaskEnded

NODE = NodeName("node1")


def bundle(count: int = 1) -> Bundle:
    return Bundle(items=[Item.of(("work", str(number))) for number in range(count)], at_once=None, stop=Stop())


def ended(end: End, number: int = 0) -> TaskEnded:
    return TaskEnded(number=number, node=NODE, claim=1, end=end, seconds=0.5, at=datetime.now(UTC))


@pytest.mark.parametrize(("end", "returncode"), [(Exited(rc=0), 0), (Exited(rc=3), 3), (Killed(signal=9), -9)])
def test_a_command_that_has_run_is_a_result_however_it_ended(end: End, returncode: int) -> None:
    run = bundle()
    ends = Ends(run)
    assert ends.is_wanted(0)
    for stream, piece in (("stdout", b"a\n"), ("stderr", b"e"), ("stdout", b"b\n")):
        ends.output(0, NODE, stream, piece)
    ends.ended(ended(end))
    done = run.items[0].future.result(timeout=0)
    assert (done.args, done.returncode, done.text, done.stderr) == (("work", "0"), returncode, "a\nb\n", b"e")
    assert (done.node, done.seconds, done.is_cut) == ("node1", 0.5, False)
    if returncode:
        with pytest.raises(TaskFailedError, match=r"`work` on node1: (exit code 3|signal 9 ended it)"):
            done.check()
    else:
        assert done.check() is done


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (TimedOut(limit_s=5.0), "TIMEOUT"),
        (OutOfMemory(limit_bytes=1 << 30), "OUT_OF_MEMORY"),
        (NodeFailed(reason="it was booted"), "NODE_FAIL"),
        (Lost(cause=Cause.TIMEOUT, reason="silent"), "RUNNING"),
        (NotStarted(reason="no disk"), "FAILED"),
        (Cancelled(reason="by root"), "CANCELLED"),
    ],
)
def test_one_that_was_not_run_to_its_end_is_an_exception_with_its_state(end: End, state: str) -> None:
    run = bundle()
    ends = Ends(run)
    assert ends.is_wanted(0)
    ends.ended(ended(end))
    error = run.items[0].future.exception(timeout=0)
    assert isinstance(error, TaskFailedError)
    assert (error.state, error.node) == (state, "node1")
    assert str(error).startswith("`work` on node1: ")


def test_a_cancelled_future_is_not_wanted_and_one_that_was_given_out_cannot_be_cancelled() -> None:
    run = bundle(2)
    ends = Ends(run)
    assert run.items[0].future.cancel()
    assert not ends.is_wanted(0)
    assert ends.is_wanted(1)
    assert not run.items[1].future.cancel()
    ends.ended(ended(Cancelled(reason="not wanted any more"), 0))
    assert run.items[0].future.cancelled()


def test_the_output_of_an_earlier_try_is_forgotten() -> None:
    run = bundle()
    ends = Ends(run)
    assert ends.is_wanted(0)
    ends.output(0, NODE, "stdout", b"failed half-way")
    assert ends.is_wanted(0), "it is tried again"
    ends.output(0, NODE, "stdout", b"done")
    ends.ended(ended(Exited(rc=0)))
    assert run.items[0].future.result(timeout=0).stdout == b"done"


def test_output_without_end_is_cut_and_said_to_be() -> None:
    run = bundle()
    ends = Ends(run)
    assert ends.is_wanted(0)
    ends.output(0, NODE, "stdout", bytes(task_jobs.MOST_OUTPUT_BYTES))
    ends.output(0, NODE, "stdout", b"more")
    ends.ended(ended(Exited(rc=0)))
    done = run.items[0].future.result(timeout=0)
    assert (len(done.stdout), done.is_cut) == (task_jobs.MOST_OUTPUT_BYTES, True)


def test_after_the_run_no_future_is_left_open() -> None:
    run = bundle(3)
    ends = Ends(run)
    assert ends.is_wanted(0)
    assert run.items[1].future.cancel()
    ends.fail(TaskFailedError("ended before it has run", state="CANCELLED"))
    assert isinstance(run.items[0].future.exception(timeout=0), TaskFailedError)
    assert run.items[1].future.cancelled()
    assert isinstance(run.items[2].future.exception(timeout=0), TaskFailedError)


def test_after_a_stop_what_no_node_has_is_cancelled() -> None:
    run = bundle(2)
    ends = Ends(run)
    assert ends.is_wanted(0)
    run.stop.ask()
    ends.fail(TaskFailedError("ended before it has run", state="CANCELLED"))
    assert isinstance(run.items[0].future.exception(timeout=0), TaskFailedError)
    assert run.items[1].future.cancelled()


def test_a_cancelled_future_is_done_for_those_who_wait_for_several() -> None:
    run = bundle(3)
    ends = Ends(run)
    futures = [item.future for item in run.items]
    assert futures[0].cancel()
    assert not ends.is_wanted(0)
    assert futures[1].cancel()
    run.stop.ask()
    for _ in range(2):
        ends.fail(TaskFailedError("ended before it has run", state="CANCELLED"))
    assert wait(futures, timeout=0).not_done == set()
    assert all(future.cancelled() for future in futures)


def futures(count: int) -> "list[Future[Any]]":
    return [Future() for _ in range(count)]


def test_results_come_in_order_and_the_rest_is_cancelled_where_one_fails() -> None:
    some, called = futures(4), []
    some[1].set_result("second")
    some[0].set_result("first")
    some[2].set_exception(ValueError("third"))
    results = in_order(some, None, lambda: called.append("otherwise"))
    assert [next(results), next(results)] == ["first", "second"]
    with pytest.raises(ValueError, match="third"):
        next(results)
    assert some[3].cancelled()
    assert called == ["otherwise"]


def test_results_that_take_too_long_are_a_timeout() -> None:
    some = futures(1)
    with pytest.raises(TimeoutError):
        next(in_order(some, 0.0))
    assert some[0].cancelled()
