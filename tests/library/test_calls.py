"""One use of the engine in a thread: its result, its deadline, its end."""

import threading

import pytest

from clbalance.errors import Interrupted, StoreError
from clbalance.library.calls import Stop, carry_out
from tests.waiting import eventually


def test_the_result_or_the_error_of_the_work_is_that_of_the_call() -> None:
    def fails(_: Stop) -> None:
        raise StoreError("no disk", hint="buy one")

    assert carry_out(lambda _: threading.current_thread() is not threading.main_thread())
    with pytest.raises(StoreError, match="no disk") as error:
        carry_out(fails)
    assert error.value.hint == "buy one"


def test_work_that_takes_too_long_is_stopped_and_has_cleaned_up_when_the_call_ends() -> None:
    cleaned_up = threading.Event()

    def work(stop: Stop) -> None:
        try:
            stop.pause(3600)
        finally:
            stop.pause(0.0)
            cleaned_up.set()

    with pytest.raises(TimeoutError, match=r"more than 0\.01 s"):
        carry_out(work, timeout=0.01)
    assert cleaned_up.is_set()


def test_a_timeout_of_the_work_itself_is_not_taken_for_that_of_the_call() -> None:
    def work(_: Stop) -> None:
        raise TimeoutError("the work's own")

    with pytest.raises(TimeoutError, match="the work's own"):
        carry_out(work, timeout=60)


def test_work_that_could_not_be_stopped_any_more_has_its_result() -> None:
    def work(stop: Stop) -> int:
        eventually(lambda: stop.is_asked)
        return 17

    assert carry_out(work, timeout=0.01) == 17


def test_the_wish_to_stop_is_told_once_so_that_cleaning_up_is_not_disturbed() -> None:
    stop = Stop()
    assert stop.look() is not None
    stop.ask()
    with pytest.raises(Interrupted):
        stop.look()
    assert stop.look() is None
    stop.pause(0.0)
