"""Points in time as people type them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from clbalance.cli.option_values import parse_future_time
from clbalance.errors import UsageError


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


NOON = datetime(2026, 11, 26, 11, 0, tzinfo=UTC)  # on the wall


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("18:00", "2026-11-26T17:00"),
        ("18:00:30", "2026-11-26T17:00:30"),
        ("06:00", "2026-11-27T05:00"),
        ("6:00", "2026-11-27T05:00"),
        ("12:00", "2026-11-27T11:00"),
        ("2026-11-27", "2026-11-26T23:00"),
        ("2026-11-27 06:00", "2026-11-27T05:00"),
        ("2026-11-27T06:00", "2026-11-27T05:00"),
        ("2026-11-27T06:00Z", "2026-11-27T06:00"),
        ("2027-07-01 06:00", "2027-07-01T04:00"),
    ],
)
def test_an_instant(text: str, meant: str) -> None:
    assert parse_future_time(text, "`--until`", NOON) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


def test_tomorrow_is_a_day_on_the_wall_though_that_has_25_hours() -> None:
    before_the_change = datetime(2026, 10, 24, 10, 0, tzinfo=UTC)
    assert parse_future_time("11:00", "`--until`", before_the_change) == datetime(2026, 10, 25, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "18:60", "2h", "2026-11-25", "2026-13-01", "2026-11-26 11:00", "9999-12-31T23:59-23:00"],
)
def test_what_is_no_time_to_come_is_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_future_time(text, "`--until`", NOON)
    assert "`--until` cannot be" in caught.value.message
    assert "18:00" in caught.value.hint
