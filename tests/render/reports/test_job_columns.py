"""The order of jobs, and their times, as people choose and read them."""

from datetime import UTC, datetime, timedelta

import pytest

from clbalance.render.jobs.columns import COLUMNS, ordered
from clbalance.render.jobs.row import JobRow
from clbalance.render.text import stamp

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(number: int, node: str, code: int | None, minutes: int | None) -> JobRow:
    return JobRow(
        id=number,
        name="n",
        user="ann",
        state="FAILED",
        reason="",
        rc=code,
        node_set=node,
        seconds=1.0,
        attempt=1,
        ended_at=None if minutes is None else NOON + timedelta(minutes=minutes),
    )


ROWS = [row(1, "node10", 3, 5), row(2, "node9", None, None), row(3, "node9", 1, 2), row(4, "", 3, 1)]


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        ([], [1, 2, 3, 4]),
        ([("job", True)], [4, 3, 2, 1]),
        ([("nodes", False)], [2, 3, 1, 4]),
        ([("nodes", True), ("job", True)], [1, 3, 2, 4]),
        ([("code", True)], [1, 4, 3, 2]),
        ([("code", False), ("ended", True)], [3, 1, 4, 2]),
        ([("ended", False)], [4, 3, 1, 2]),
    ],
    ids=str,
)
def test_the_first_column_counts_first_and_what_is_not_known_comes_last(
    order: list[tuple[str, bool]], numbers: list[int]
) -> None:
    assert [one.id for one in ordered(ROWS, order)] == numbers


def test_any_column_can_order_any_jobs() -> None:
    bare = JobRow(
        id=None, name="-", user="u", state="RUNNING", reason="", rc=None, node_set="", seconds=None, attempt=1
    )
    for name in COLUMNS:
        assert len(ordered([*ROWS, bare], [(name, True)])) == 5


def test_a_time_is_as_short_as_it_can_be_without_doubt() -> None:
    assert stamp(NOON, NOON) == "12:00"
    assert stamp(NOON - timedelta(days=1), NOON) == "02-28 12:00"
    assert stamp(NOON - timedelta(days=60), NOON) == "2025-12-31"
    assert stamp(NOON) == "2026-03-01 12:00:00"
