"""Points in time as people type them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from clbalance.cli.option_values import parse_begin_time, parse_future_time
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
    found = parse_future_time(text, "`--until`", NOON)
    assert (found.at, found.remark) == (datetime.fromisoformat(meant).replace(tzinfo=UTC), "")


def test_tomorrow_is_a_day_on_the_wall_though_that_has_25_hours() -> None:
    before_the_change = datetime(2026, 10, 24, 10, 0, tzinfo=UTC)
    assert parse_future_time("11:00", "`--until`", before_the_change).at == datetime(2026, 10, 25, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "shown"),
    [
        pytest.param("18:00", "2026-11-26T11:00", "2026-11-26 18:00 (UTC+01:00)", id="any time"),
        pytest.param("18:00:30", "2026-11-26T11:00", "2026-11-26 18:00:30 (UTC+01:00)", id="with seconds"),
        pytest.param("2026-11-26T20:00Z", "2026-11-26T11:00", "2026-11-26 21:00 (UTC+01:00)", id="of another zone"),
        pytest.param(
            "2026-03-29 02:30",
            "2026-03-28T11:00",
            "2026-03-29 03:30 (UTC+02:00): the clock skips 02:30 on that day",
            id="a time that is skipped is as long after the change",
        ),
        pytest.param(
            "02:00",
            "2026-03-29T00:30",
            "2026-03-29 03:00 (UTC+02:00): the clock skips 02:00 on that day",
            id="also its first minute, today",
        ),
        pytest.param("03:00", "2026-03-29T00:30", "2026-03-29 03:00 (UTC+02:00)", id="but not the one after its last"),
        pytest.param(
            "2026-10-25 02:30",
            "2026-10-24T11:00",
            "2026-10-25 02:30 (UTC+02:00): 02:30 comes twice on that day, and this is the first",
            id="of a time that comes twice, the first",
        ),
        pytest.param(
            "02:50",
            "2026-10-25T01:40",
            "2026-10-25 02:50 (UTC+01:00): 02:50 comes twice on that day, and this is the second",
            id="unless that has passed",
        ),
        pytest.param("2026-10-25T02:30+01:00", "2026-10-24T11:00", "2026-10-25 02:30 (UTC+01:00)", id="named exactly"),
        pytest.param("03:00", "2026-10-25T01:40", "2026-10-25 03:00 (UTC+01:00)", id="the first time after both"),
    ],
)
def test_which_instant_was_taken_is_told(text: str, now: str, shown: str) -> None:
    found = parse_future_time(text, "`--until`", datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert str(found) == shown
    assert found.at > datetime.fromisoformat(now).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "18:60", "2h", "2026-11-25", "2026-13-01", "2026-11-26 11:00", "9999-12-31T23:59-23:00"],
)
def test_what_is_no_time_to_come_is_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_future_time(text, "`--until`", NOON)
    assert "`--until` cannot be" in caught.value.message
    assert "18:00" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", "2026-11-26T13:00"),
        ("now+90s", "2026-11-26T11:01:30"),
        ("90", "2026-11-26T11:01:30"),
        ("18:00", "2026-11-26T17:00"),
        ("06:00", "2026-11-27T05:00"),
        ("2026-12-01", "2026-11-30T23:00"),
        ("2026-12-01T08:00", "2026-12-01T07:00"),
        ("2026-12-01t08:00z", "2026-12-01T08:00"),
    ],
)
def test_a_begin_time_is_a_duration_from_now_or_a_time(text: str, meant: str) -> None:
    found = parse_begin_time(text, NOON)
    assert found is not None
    assert found.at == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["now", "NOW", "2020-01-01", "2026-11-26T12:00", "2026-11-26T10:59Z"])
def test_a_begin_time_that_has_passed_is_now(text: str) -> None:
    assert parse_begin_time(text, NOON) is None


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "2026-13-01", "-2h", "0", "now-2h", "now+18:0x", "2026-12-01T08:00+99:00"]
)
def test_what_is_no_begin_time_is_refused_with_what_can_be_typed(text: str) -> None:
    with pytest.raises(UsageError, match="`--begin` cannot be") as caught:
        parse_begin_time(text, NOON)
    assert "18:00" in caught.value.hint
