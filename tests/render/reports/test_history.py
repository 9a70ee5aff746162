"""History as people and programs see it."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clbalance.model import NodeName
from clbalance.model.forecast import Expected
from clbalance.model.node_history import Aggregate, SeriesPoint
from clbalance.policy.history import TimeCell, series_of
from clbalance.render.format import Format
from clbalance.render.report import Display
from clbalance.render.reports.nodes.history import HISTORY_FIELDS, HistoryForecasts, HistoryReport
from clbalance.render.sparkline import ASCII, UNICODE, blocks_for, sparkline
from tests.render.examples import DISPLAYS

UNTIL = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=1)
FORMS = {**DISPLAYS, "60": Display(form=Format.HUMAN, width=60)}


def points(*, out: range = range(0), unasked: range = range(0), gpus: int = 0) -> list[SeriesPoint]:
    """A look every half hour of the day, which climbs and falls."""
    found = []
    for number in range(48):
        share = 1 - abs(number - 24) / 24
        value = {
            "r1m_per_cpu": share * 1.5,
            "load_per_cpu": share * 3,
            "ut_pct": share * 100,
            "mem_available_pct": 100 - 80 * share,
            "leases": float(int(share * 4)),
        }
        if number not in unasked:
            silent = number in out
            found.append(
                SeriesPoint(
                    at_s=int(SINCE.timestamp()) + 1800 * number,
                    span_s=60,
                    asked=1,
                    silent=int(silent),
                    values={} if silent else {key: Aggregate(one, one, one) for key, one in value.items()},
                    gpus={} if silent else {gpu: {"use_pct": Aggregate(0.0, 98.0, 100.0)} for gpu in range(gpus)},
                )
            )
    return found


def report() -> HistoryReport:
    named = {
        "node1": points(),
        "node2": points(out=range(10, 20)),
        "gpu1": points(unasked=range(30, 40), gpus=2),
        "dead": points(out=range(48)),
        "new": [],
    }
    return HistoryReport(
        since=SINCE,
        until=UNTIL,
        nodes=tuple((NodeName(name), series_of(parts)) for name, parts in named.items()),
        blocks=UNICODE,
    )


@pytest.mark.parametrize("form", ["60", "80", "140", "pipe"])
def test_history(form: str, golden: Callable[[str, str], None]) -> None:
    golden(f"history-{form}.txt", FORMS[form].text(report()))


def test_without_the_characters_for_it_history_is_drawn_in_ascii(golden: Callable[[str, str], None]) -> None:
    message = FORMS["80"].text(replace(report(), blocks=ASCII))
    assert message.isascii()
    golden("history-ascii.txt", message)


def test_nothing_known_is_an_empty_text_for_people_and_a_list_for_programs() -> None:
    empty = replace(report(), nodes=((NodeName("new"), ()),))
    assert FORMS["80"].text(empty) == ""
    assert FORMS["plain"].text(empty) == ""
    assert json.loads(FORMS["json"].text(empty))["nodes"] == [{"name": "new", "indices": {}, "gpus": []}]


def test_programs_get_every_point_with_units_in_the_keys() -> None:
    parsed = json.loads(FORMS["json"].text(report()))
    assert (parsed["schema"], parsed["since"]) == (1, "2026-03-01T12:00:00+00:00")
    assert [node["name"] for node in parsed["nodes"]] == ["node1", "node2", "gpu1", "dead", "new"]
    ut = parsed["nodes"][0]["indices"]["ut_pct"]
    assert (ut["least"], ut["most"], len(ut["points"])) == (0.0, 100.0, 48)
    assert ut["points"][0] == [int(SINCE.timestamp()), 0.0]
    assert [gpu["index"] for gpu in parsed["nodes"][2]["gpus"]] == [0, 1]
    assert parsed["nodes"][2]["gpus"][0]["use_pct"]["most"] == 100.0
    assert parsed["nodes"][3]["indices"].keys() == {"answered_pct"}


def test_plain_lines_have_the_fields_that_are_told() -> None:
    lines = [line.split("\t") for line in FORMS["plain"].text(report()).splitlines()]
    assert {len(line) for line in lines} == {len(HISTORY_FIELDS)}
    assert lines[0] == ["node1", "answered_pct", "-", str(int(SINCE.timestamp())), "60", "100", "100", "100", "0"]
    assert ["dead", "answered_pct", "-", str(int(SINCE.timestamp())), "60", "0", "0", "0", "1"] in lines


def test_a_forecast_without_a_usual_error_has_no_bounds_in_plain_text() -> None:
    new = Expected(value=0.5, error=None, last_error=None, by="last value")
    forecasts = HistoryForecasts(ahead_s=60.0, at_s=5, expected={NodeName("node1"): {"ut_pct": new}})
    lines = FORMS["plain"].text(replace(report(), forecasts=forecasts)).splitlines()
    assert "node1\tut_pct\t-\t5\t0\t-\t0.5\t-\t0" in lines


@pytest.mark.parametrize("width", [20, 40, 79, 80, 200])
def test_no_line_is_wider_than_its_terminal(width: int) -> None:
    table = report().human(Display(form=Format.HUMAN, width=width))
    rows = table.splitlines()[:-2]
    assert max(map(len, rows)) <= max(width, 40)


def test_bars_go_from_nothing_to_the_top_and_never_beyond() -> None:
    cells = [TimeCell(value=value) for value in (-1.0, 0.0, 0.49, 0.5, 0.99, 1.0, 7.0)]
    assert sparkline([*cells, TimeCell(), TimeCell(is_silent=True)], 1.0, UNICODE) == f"▁▁▄▅███ {UNICODE.silence}"
    assert len({*UNICODE.bars, UNICODE.silence, " "}) == len({*ASCII.bars, ASCII.silence, " "}) == 10


@pytest.mark.parametrize(
    ("environment", "blocks"),
    [
        ({"LANG": "C.UTF-8"}, UNICODE),
        ({"LANG": "de_DE.utf8"}, UNICODE),
        ({"LANG": "C.UTF-8", "LC_ALL": "C"}, ASCII),
        ({"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, UNICODE),
        ({"LC_ALL": "", "LANG": "en_US.UTF-8"}, UNICODE),
        ({"LANG": "de_DE@euro"}, ASCII),
        ({}, ASCII),
        ({"LC_CTYPE": "C.UTF-8"}, ASCII),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C.UTF-8"}, UNICODE),
    ],
)
def test_the_locale_says_what_can_be_drawn(environment: dict[str, str], blocks: object) -> None:
    assert blocks_for(environment) is blocks


def test_traffic_is_told_by_its_size_and_drawn_up_to_its_highest_mean() -> None:
    samples = [
        SeriesPoint(at_s=int(SINCE.timestamp()) + 1800 * at, span_s=60, asked=1, silent=0,
                     values={"net_kib_per_s": Aggregate(kib, kib, kib)})
        for at, kib in enumerate((0.0, 20480.0, 512.0))
    ]  # fmt: skip
    lines = series_of(samples, frozenset({"net"}))
    message = FORMS["140"].text(replace(report(), nodes=((NodeName("n"), lines),))).splitlines()[1]
    assert message.split()[:7] == ["n", "net", "0B", "6.8M", "20M", "512K", "0-20M"]
