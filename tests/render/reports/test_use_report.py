"""The forms of a report that only `report` has: CSV, Markdown and HTML. Nothing in them is more than text."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.report import Period
from clbalance.render.reports.report.csv_text import csv_cell, csv_text
from clbalance.render.reports.report.documents import REPORT_FIELDS
from clbalance.render.reports.report.html_page import html_page
from clbalance.render.reports.report.markdown import escaped, markdown_text
from clbalance.render.reports.report.report import UseReport
from clbalance.render.reports.report.sections import heading
from tests.render.examples.use_report import BOTH, ONE, WEEK, hostile_week

MARKUP = '<script src="http://evil/x"></script>&<img src=x onerror=alert(1)>'
NASTY = [
    MARKUP,
    "a|b",
    "](http://evil) **x** `y` ~~z~~ <b>",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "a\nb",
    '"quoted","cell"',
    "\x1b[31mred\x1b[0m",
    "\u202eevil",
    "</style><h1>",
    "' onload='x",
    "\ud800",
]


def nasty(text: str) -> UseReport:
    return UseReport(report=hostile_week(text, text))


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_period_over_the_change_to_summer_time_names_both_zones() -> None:
    winter, summer = timezone(timedelta(hours=1), "CET"), timezone(timedelta(hours=2), "CEST")
    period = Period(since=datetime(2026, 3, 28, tzinfo=winter), until=datetime(2026, 3, 30, tzinfo=summer))
    said = heading(replace(WEEK, period=period))
    assert said == "2026-03-28 00:00 CET to 2026-03-30 00:00 CEST (47 h)"
    assert "CET" not in heading(replace(WEEK, period=replace(period, since=period.until - timedelta(days=1))))


def test_csv_has_a_line_for_each_figure_under_one_heading() -> None:
    heading, *lines = cells(csv_text(ONE))
    assert tuple(heading) == REPORT_FIELDS
    assert ["period", "user", "alice", "cpu_efficiency_pct", "80.0"] in lines
    assert ["period", "user", "uid 1002", "cpu_efficiency_pct", ""] in lines, "not known is empty"
    assert ["period", "group", "cpu", "cpu_allocated_hours", "0.0"] in lines, "and none is 0"
    assert csv_text(ONE).endswith("\r\n")


def test_csv_of_two_periods_says_of_each_line_which() -> None:
    assert {line[0] for line in cells(csv_text(BOTH))[1:]} == {"before", "after", "change"}


@pytest.mark.parametrize("text", NASTY)
def test_no_cell_of_csv_is_a_formula_and_none_begins_another_line(text: str) -> None:
    lines = cells(csv_text(nasty(text)))
    assert {len(line) for line in lines} == {len(REPORT_FIELDS)}
    assert len(lines) == len(cells(csv_text(nasty("plain"))))
    for line in lines:
        for cell in line:
            assert cell[:1] not in {*"=+@\t\r"} or _is_number(cell)
            assert cell[:1] != "-" or _is_number(cell)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?[\d.e-]+", cell) is not None


@given(st.text())
def test_a_text_cell_never_begins_as_a_formula_does(text: str) -> None:
    assert str(csv_cell(text))[:1] not in {*"=+-@\t\r"}


def test_a_negative_number_stays_a_number() -> None:
    assert csv_cell(-1.5) == -1.5
    assert csv_cell(None) == ""


@pytest.mark.parametrize("text", NASTY)
def test_markdown_has_as_many_cells_and_no_markup(text: str) -> None:
    lines = markdown_text(nasty(text)).splitlines()
    plain = markdown_text(nasty("plain")).splitlines()
    bare = re.compile(r"(?<!\\)\|")
    assert [len(bare.findall(line)) for line in lines] == [len(bare.findall(line)) for line in plain]
    assert not re.search(r"(?<!\\)[<`*_~\[]", "\n".join(lines))


@given(st.text())
def test_escaped_markdown_has_no_character_left_that_means_something(text: str) -> None:
    assert not re.search(r"(?<!\\)(\\\\)*[<>`*_~\[\]|#&@$]", escaped(text))


class _Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    return page


@pytest.mark.parametrize("text", NASTY)
def test_the_page_has_the_same_elements_whatever_names_are_in_it(text: str) -> None:
    plain, found = parsed(html_page(nasty("plain"))), parsed(html_page(nasty(text)))
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes
    assert not found.tags & {"script", "img", "a", "iframe", "form", "object", "base"}
    assert not any(name.startswith("on") or name in {"style", "src", "href"} for name in found.attributes)


def test_markup_in_names_is_shown_as_it_is() -> None:
    assert MARKUP in parsed(html_page(nasty(MARKUP))).texts


def test_the_page_allows_its_own_style_sheet_and_nothing_else() -> None:
    page = html_page(ONE)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page


def test_without_groups_the_use_of_all_nodes_is_drawn() -> None:
    page = html_page(UseReport(report=replace(WEEK, groups=(), cpu_by_time=(10.0, 20.0, None))))
    assert "all, cpus</title>" in page
    assert "Utilisation of each group over time" in page


def test_the_pictures_are_well_formed_and_have_words() -> None:
    pictures = re.findall(r"<svg.*?</svg>", html_page(BOTH))
    assert len(pictures) == 6, "three for each period"
    for picture in pictures:
        root = ET.fromstring(picture)
        assert root.get("aria-label")
        assert {one.tag for one in root.iter()} <= {"svg", "rect", "text", "title"}
        for rect in root.iter("rect"):
            assert float(rect.get("width", "-1")) >= 0
            assert float(rect.get("x", "-1")) + float(rect.get("width", "0")) <= 841


def test_a_picture_of_nothing_is_left_out() -> None:
    empty = UseReport(report=replace(WEEK, load=(), groups=(), waits=type(WEEK.waits)()))
    assert "<svg" not in html_page(empty)


def test_json_keeps_unknown_apart_from_none() -> None:
    found = json.loads(json.dumps(ONE.json()))
    bob = found["users"][1]
    assert (bob["cpu_used_hours"], bob["gpu_hours"], bob["cost"]) == (None, 0.0, None)
    assert found["groups"][0]["cpu_allocated_pct"] == 0.0
    assert found["groups"][0]["gpu_used_pct"] is None
