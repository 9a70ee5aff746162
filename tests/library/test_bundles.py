"""How what is submitted becomes bundles. Each bundle waits at a gate, so that the order is the test's own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest

from clbalance.library.bundles import MOST_BUNDLES, Bundle, Bundles, Item
from tests.waiting import eventually


def item(word: str = "true") -> Item:
    return Item.of((word,))


@dataclass
class Gate:
    """Carries out a bundle when the test says so."""

    came: "SimpleQueue[Bundle]" = field(default_factory=SimpleQueue)
    opened: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, bundle: Bundle) -> None:
        with self._lock:
            self._at_once += bundle.at_once or 0
            self.most_at_once = max(self.most_at_once, self._at_once)
        self.came.put(bundle)
        self.opened.get(timeout=60)
        with self._lock:
            self._at_once -= bundle.at_once or 0
        for one in bundle.items:
            if one.future.set_running_or_notify_cancel():
                one.future.set_result(None)

    def next(self) -> Bundle:
        return self.came.get(timeout=60)

    def open(self, count: int) -> None:
        for _ in range(count):
            self.opened.put(None)


def words(bundle: Bundle) -> list[str]:
    return [one.words[0] for one in bundle.items]


def bundle_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "clbalance-bundle"]


def test_what_is_submitted_as_a_whole_is_one_bundle_in_its_order() -> None:
    gate = Gate()
    bundles = Bundles(gate.run, None)
    bundles.add([item(str(number)) for number in range(100)], are_all=True)
    assert words(gate.next()) == [str(number) for number in range(100)]
    gate.open(1)
    bundles.wait()


def test_later_work_is_a_bundle_of_its_own_and_does_not_wait_for_the_first() -> None:
    gate = Gate()
    bundles = Bundles(gate.run, None)
    bundles.add([item("first")], are_all=True)
    first = gate.next()
    bundles.add([item("second")], are_all=True)
    assert words(gate.next()) == ["second"]
    assert not first.items[0].future.done()
    gate.open(2)
    bundles.wait()
    assert first.items[0].future.done()


def test_no_more_than_the_given_workers_are_ever_asked_for() -> None:
    gate = Gate()
    bundles = Bundles(gate.run, 3)
    items = [item(str(number)) for number in range(9)]
    for at in range(0, 9, 2):
        bundles.add(items[at : at + 2], are_all=True)
    gate.open(len(items))
    bundles.wait()
    assert gate.most_at_once <= 3
    assert all(one.future.done() for one in items)


def test_only_so_many_bundles_run_at_once_and_the_rest_is_one_bundle() -> None:
    gate = Gate()
    bundles = Bundles(gate.run, None)
    for number in range(MOST_BUNDLES):
        bundles.add([item(str(number))], are_all=True)
        gate.next()
    for number in range(5):
        bundles.add([item(f"later {number}")], are_all=True)
    gate.open(1)
    assert words(gate.next()) == [f"later {number}" for number in range(5)]
    gate.open(MOST_BUNDLES)
    bundles.wait()


def test_no_thread_is_left_when_nothing_is_to_do() -> None:
    gate = Gate()
    bundles = Bundles(gate.run, None)
    gate.open(3)
    for _ in range(3):
        one = item()
        bundles.add([one])
        one.future.result(timeout=60)
    bundles.wait()
    eventually(lambda: not bundle_threads())


def test_after_the_shutdown_nothing_is_taken_and_what_was_taken_is_done() -> None:
    gate = Gate()
    bundles = Bundles(gate.run, None)
    one = item()
    bundles.add([one])
    bundles.shut(cancel=False)
    with pytest.raises(RuntimeError, match="shutdown"):
        bundles.add([item()])
    gate.open(1)
    bundles.wait()
    assert one.future.result(timeout=0) is None


@pytest.mark.parametrize(
    "end", [lambda bundles: bundles.shut(cancel=True), Bundles.stop], ids=["shutdown", "terminate"]
)
def test_what_waits_is_cancelled(end: Callable[[Bundles], None]) -> None:
    gate = Gate()
    bundles = Bundles(gate.run, 1)
    bundles.add([item("first")], are_all=True)
    first, later = gate.next(), item("later")
    bundles.add([later], are_all=True)
    end(bundles)
    assert later.future.cancelled()
    gate.open(2)
    bundles.wait()
    assert first.items[0].future.cancelled(), "no node had begun it"


def test_only_the_end_of_all_stops_what_runs() -> None:
    gate = Gate()
    bundles = Bundles(gate.run, None)
    bundles.add([item()], are_all=True)
    bundle = gate.next()
    bundles.shut(cancel=True)
    assert not bundle.stop.is_asked
    bundles.stop()
    assert bundle.stop.is_asked
    gate.open(1)
    bundles.wait()
