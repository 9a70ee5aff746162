"""However a slot's output and log are cut into pieces, each task gets exactly its bytes, and its end after them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.engine.agent.job_messages import Began, Returned, SlotLog, TaskFinished, Whole, tells_all
from clbalance.engine.tasks.output import TaskOutputSplitter
from clbalance.model import Cause
from clbalance.model.job_record import Cancelled, End, Exited, Killed, Lost, NodeFailed, NotStarted

LOG = b'["s", 3]\n["s", 4]\n["s", 5]\n["e", 3, {"kind": "exited", "rc": 7}, 0.25, 4, 0]\n["b", 4]\n["b", 5]\n["z"]\n'


class Notes:
    """What was told of each task, in order."""

    def __init__(self) -> None:
        self.output: dict[tuple[int, str], bytes] = {}
        self.ends: list[int] = []

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        assert number not in self.ends, "nothing after its end"
        assert piece
        self.output[number, stream] = self.output.get((number, stream), b"") + piece

    def finished(self, entry: TaskFinished) -> None:
        self.ends.append(entry.number)


def finished(number: int, stdout: int, stderr: int) -> TaskFinished:
    line = b'["e", %d, {"kind": "exited", "rc": 0}, 0.0, %d, %d]\n' % (number, stdout, stderr)
    (entry,) = SlotLog().feed(line)
    assert isinstance(entry, TaskFinished)
    return entry


@given(st.lists(st.integers(min_value=0, max_value=len(LOG))))
def test_a_log_says_the_same_in_any_pieces(cuts: list[int]) -> None:
    log, places = SlotLog(), [0, *sorted(cuts), len(LOG)]
    entries = [one for at, to in pairwise(places) for one in log.feed(LOG[at:to])]
    assert [type(one) for one in entries] == [Began, Began, Began, TaskFinished, Returned, Returned, Whole]
    assert isinstance(entries[3], TaskFinished)
    assert (entries[3].number, entries[3].seconds, entries[3].stdout) == (3, 0.25, 4)


@given(st.binary())
def test_nothing_in_a_log_stops_us(noise: bytes) -> None:
    log = SlotLog()
    log.feed(noise)
    assert log.feed(b'\n["s", 1]\n')[-1] == Began(number=1)


def test_a_line_without_end_is_not_kept() -> None:
    log = SlotLog()
    log.feed(b"x" * 5000)
    assert log.feed(b'\n["s", 1]\n') == [Began(number=1)]


@pytest.mark.parametrize(
    ("end", "closed", "all_told"),
    [
        (Exited(rc=0), True, True),
        (Cancelled(reason=""), True, True),
        (Cancelled(reason=""), False, False),
        (Killed(signal=9), False, True),
        (NotStarted(reason=""), False, False),
        (NodeFailed(reason=""), True, False),
        (Lost(cause=Cause.LOST, reason=""), True, False),
    ],
    ids=repr,
)
def test_a_log_tells_of_all_that_was_started(end: End, closed: bool, all_told: bool) -> None:
    assert tells_all(end, closed=closed) is all_told


TEXTS = st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=6)), max_size=6)


@given(TEXTS, st.data())
def test_each_task_gets_its_bytes_and_then_its_end(texts: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """An agent tells the end of one before output of the next; output may come long after the end."""
    notes = Notes()
    cutter = TaskOutputSplitter(notes)
    wholes = {"stdout": b"".join(one for one, _ in texts), "stderr": b"".join(two for _, two in texts)}
    parsed = {"stdout": 0, "stderr": 0}
    sizes = {"stdout": 0, "stderr": 0}

    def let_through() -> None:
        for stream in data.draw(st.permutations(["stdout", "stderr"])):
            to = data.draw(st.integers(min_value=parsed[stream], max_value=sizes[stream]))
            cutter.write(stream, wholes[stream][parsed[stream] : to])
            parsed[stream] = to

    for number in range(len(texts)):
        cutter.began(number)
    for number, (out, err) in enumerate(texts):
        sizes = {"stdout": sizes["stdout"] + len(out), "stderr": sizes["stderr"] + len(err)}
        let_through()
        cutter.finished(finished(number, sizes["stdout"], sizes["stderr"]))
    for stream, whole in wholes.items():
        cutter.write(stream, whole[parsed[stream] :])
    assert notes.ends == list(range(len(texts)))
    given_out = {
        (number, stream): text for number, two in enumerate(texts) for stream, text in zip(parsed, two, strict=True)
    }
    assert notes.output == {place: text for place, text in given_out.items() if text}


def test_output_that_never_comes_is_not_waited_for() -> None:
    notes = Notes()
    cutter = TaskOutputSplitter(notes)
    cutter.began(1)
    cutter.finished(finished(1, 10, 0))
    assert notes.ends == []
    cutter.close()
    assert notes.ends == [1]


def test_output_of_nobody_is_nobodys() -> None:
    notes = Notes()
    cutter = TaskOutputSplitter(notes)
    cutter.began(1)
    cutter.returned(1)
    cutter.returned(2)
    cutter.write("stdout", b"x")
    assert notes.output == {}
