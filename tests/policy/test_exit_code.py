"""What one copy's end comes to as an exit code."""

import pytest

from clbalance.job import Cancelled, End, Exited, Killed, Lost, NodeFailed, NotStarted, OutOfMemory, TimedOut
from clbalance.model import Cause
from clbalance.policy.exit_code import code_of

CODES: list[tuple[End, int]] = [
    (Exited(rc=3), 3),
    (Killed(signal=15), 143),
    (TimedOut(limit_s=1.0), 124),
    (OutOfMemory(limit_bytes=1), 137),
    (NotStarted(why="x", rc=127), 127),
    (NotStarted(why="x"), 125),
    (Cancelled(why="x"), 125),
    (NodeFailed(why="x"), 125),
    (Lost(cause=Cause.HUNG, why="x"), 125),
]


@pytest.mark.parametrize(("end", "code"), CODES, ids=[type(end).__name__ for end, _ in CODES])
def test_an_end_has_the_code_that_a_shell_would_give_it(end: End, code: int) -> None:
    assert code_of(end) == code
