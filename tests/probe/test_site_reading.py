"""What a site's programs print is read strictly: their own names, plain numbers within bounds, and nothing else."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Unknown
from clbalance.model.plugins import (
    CheckResult,
    CheckState,
    ExternalIndex,
    ExternalUnit,
    IndexSource,
    NodeProgram,
    SitePrograms,
)
from clbalance.probe.frame import Section
from clbalance.probe.site_reading import hung_sections, parse_site

from .answers import UNHURRIED

INDEX = NodeProgram(name="index scratch", text="#!/bin/sh\n", timeout_s=3)
CHECK = NodeProgram(name="check disk", path="/usr/lib/check_disk")
UNITS = {"scratch": ExternalUnit.PERCENT, "tokens": ExternalUnit.NUMBER, "cache": ExternalUnit.BYTES}
SITE = SitePrograms(
    programs=(INDEX, CHECK),
    indices=(
        *(
            IndexSource(index=ExternalIndex(name=name, unit=unit), program=0, field=name)
            for name, unit in UNITS.items()
        ),
        IndexSource(
            index=ExternalIndex(name="full", unit=ExternalUnit.BYTES), program=1, field="/ a", is_perfdata=True
        ),
    ),
    checks=(("disk", 1),),
)


def ended(text: str, rc: int = 0) -> Section:
    """As the node sends it for a program that has ended."""
    return Section(text=f"{text}\nexit {rc}\n", status="0")


def value(name: str, section: Section | None) -> float | str:
    """The value of an index, or why it is unknown."""
    found = parse_site({} if section is None else {"plugin_a": section}, SITE, {"plugin_a": "left alone"}).value(name)
    return found.reason if isinstance(found, Unknown) else found


def checked(section: Section) -> CheckResult:
    return parse_site({"plugin_b": section}, SITE, {}).checks[0]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        pytest.param(ended("scratch 12.5"), 12.5, id="a number"),
        pytest.param(ended("other 1\n  scratch   1e1  \n"), 10.0, id="blanks around it do no harm"),
        pytest.param(ended("scratch 101"), "printed 101, which is not from 0 to 100", id="out of range is unknown"),
        pytest.param(ended("scratch -1"), "printed -1, which is not from 0 to 100", id="below the range too"),
        pytest.param(ended("scratch nan"), "printed nan, which is not a number", id="NaN is no number"),
        pytest.param(ended("scratch inf"), "printed inf, which is not a number", id="nor is infinity"),
        pytest.param(ended("scratch 1e999"), "printed 1e999, which is not from 0 to 100", id="nor what overflows"),
        pytest.param(ended("scratch ١٢"), "printed ١٢, which is not a number", id="nor digits of other scripts"),
        pytest.param(ended("scratch 1 2"), "printed 1 2, which is not a number", id="nor two of them"),
        pytest.param(ended("scratch"), "printed nothing, which is not a number", id="a name alone"),
        pytest.param(ended("scratch \x1b[2J5"), "printed [2J5, which is not a number", id="control characters go"),
        pytest.param(ended("scratch 1\nscratch 2"), "printed twice scratch", id="twice is ambiguous"),
        pytest.param(ended("tokens 1"), "did not print scratch", id="not at all"),
        pytest.param(ended("scratch 1", rc=1), "ended with exit code 1: scratch 1", id="a failure is no value"),
        pytest.param(ended("", rc=127), "the program is not there, or its interpreter is not", id="no interpreter"),
        pytest.param(Section(text="scratch 1", status=None), "did not end within 3 s", id="a hang, whatever it printed"),
        pytest.param(Section(text="scratch 1\n" * 400, status="0"), "printed more than 4 KiB", id="a flood"),
        pytest.param(ended("scratch 1\n" * 500), "printed more than 4 KiB", id="a node that sends more than a program can"),
        pytest.param(
            Section(text="", status="127"), "could not be run: `setsid` and `head` are needed there", id="no tools"
        ),
        pytest.param(None, "left alone", id="a program that was not run"),
    ],
)  # fmt: skip
def test_an_index_is_a_plain_number_or_unknown_with_the_reason(section: Section | None, expected: float | str) -> None:
    assert value("scratch", section) == expected


def test_names_of_ours_and_of_other_programs_are_ignored_and_told() -> None:
    found = parse_site({"plugin_a": ended("scratch 1\nr1m 0\nfull 7\nr1m 0\ntokens 2\ncache 0")}, SITE, {})
    assert [one.value for one in found.values][:3] == [1.0, 2.0, 0.0]
    assert isinstance(found.value("full"), Unknown)
    assert found.remarks == (
        "index scratch printed r1m, which is not its own name",
        "index scratch printed full, which is not its own name",
    )


def test_a_chatty_program_makes_few_remarks() -> None:
    found = parse_site({"plugin_a": ended("\n".join(f"x{number} 1" for number in range(100)))}, SITE, {})
    assert len(found.remarks) == 3


@pytest.mark.parametrize(
    ("section", "state", "text"),
    [
        pytest.param(ended("DISK OK - 5 free|/=1;2", 0), CheckState.OK, "DISK OK - 5 free", id="0"),
        pytest.param(ended("low", 1), CheckState.WARNING, "low", id="1"),
        pytest.param(ended("\x1b[31mgone [bold]\nmore", 2), CheckState.CRITICAL, "[31mgone [bold]", id="2"),
        pytest.param(ended("who knows", 3), CheckState.UNKNOWN, "who knows", id="3"),
        pytest.param(ended("x", 4), CheckState.UNKNOWN, "ended with exit code 4: x", id="other codes"),
        pytest.param(
            ended("", 126), CheckState.UNKNOWN, "/usr/lib/check_disk cannot be executed", id="not executable"
        ),
        pytest.param(Section(text="bad", status=None), CheckState.UNKNOWN, "did not end within 2 s", id="a hang"),
        pytest.param(Section(text="missing\n", status="0"), CheckState.UNKNOWN, "there is no /usr/lib/check_disk", id="no file"),
        pytest.param(
            Section(text="refused\n", status="0"), CheckState.UNKNOWN,
            "/usr/lib/check_disk must be a regular file of root, in folders of root, that only root can write to; no links",
            id="a file of somebody else",
        ),
    ],
)  # fmt: skip
def test_a_check_is_what_its_exit_code_says(section: Section, state: CheckState, text: str) -> None:
    assert checked(section) == CheckResult("disk", state, text)


@pytest.mark.parametrize(
    ("performance", "expected"),
    [
        pytest.param("x|'/ a'=2MB;1;2;0;9", 2.0 * 1024 * 1024, id="in bytes"),
        pytest.param("x|y=1 '/ a'=7", 7.0, id="the one with its label"),
        pytest.param("x\nlong text|'/ a'=3B", 3.0, id="on a later line"),
        pytest.param("x|don't y '/ a'=7", 7.0, id="after what is no label"),
        pytest.param("x|'/ a'=U", "printed U, which is not a number", id="undetermined"),
        pytest.param("x|'/ a'=5furlongs", "printed 5furlongs, which is not a number", id="an odd unit"),
        pytest.param("x|'/ a'=-1B", "printed -1, which is not from 0 to 1.15292e+18", id="out of range"),
        pytest.param("x '/ a'=5", "did not print / a", id="no performance data"),
    ],
)
def test_an_index_may_be_a_figure_of_performance_data(performance: str, expected: float | str) -> None:
    for rc in (0, 2):  # a check that fails has figures all the same
        found = parse_site({"plugin_b": ended(performance, rc)}, SITE, {}).value("full")
        assert (found.reason if isinstance(found, Unknown) else found) == expected


_TEXT = st.text() | st.lists(
    st.sampled_from(
        [
            "scratch ",
            "tokens ",
            "full ",
            "r1m ",
            "9",
            "-1",
            "1e9",
            "nan",
            "\n",
            "|",
            "'/ a'=",
            "=",
            "exit 0",
            "\x1b[31m",
        ]
    )
).map("".join)


@UNHURRIED
@given(_TEXT, st.none() | st.sampled_from(["0", "1", "9", "killed"]), st.booleans())
def test_whatever_is_printed_values_are_within_their_bounds_and_texts_can_be_shown(
    text: str, status: str | None, whole: bool
) -> None:
    section = Section(text=f"{text}\nexit 0" if whole else text, status=status)
    sections = {"plugin_a": section, "plugin_b": section}
    found = parse_site(sections, SITE, {})
    assert [one.index.name for one in found.values] == [*UNITS, "full"]
    for one in found.values:
        if not isinstance(one.value, Unknown):
            assert math.isfinite(one.value)
            assert one.index.unit is ExternalUnit.NUMBER or one.value >= 0
        else:
            assert one.value.reason.isprintable()
    assert all(check.text.isprintable() for check in found.checks)
    assert all(remark.isprintable() for remark in found.remarks)
    assert (status is None) == bool(hung_sections(sections, SITE))
