"""Data files: what a node printed, and what is read from it. The folder names the field, the file the promise.

`CLBALANCE_BLESS=1` writes the expected readings anew; look at the difference before you believe it.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from clbalance.model import Unknown
from clbalance.probe.reading import parse_reading

from .answers import DATA, sections

CASES = sorted(DATA.glob("*/*.txt"))


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}-{case.stem}" for case in CASES])
def test_a_section_reads_as_recorded(case: Path) -> None:
    field = case.parent.name
    # Instants as text.
    reading = json.loads(json.dumps(asdict(parse_reading(sections(case.read_text())))[field], default=str))
    expected = case.with_suffix(".json")
    if os.environ.get("CLBALANCE_BLESS"):
        expected.write_text(json.dumps(reading, indent=1, ensure_ascii=True) + "\n")
    assert reading == json.loads(expected.read_text())
    assert case.stem.endswith("_is_unknown") <= (isinstance(reading, dict) and set(reading) == {"reason"})


def test_an_answer_without_sections_is_unknown_all_over() -> None:
    reading = parse_reading({})
    assert (reading.gpus_missing, reading.limits) == ((), None)  # a node without limits sends none
    parts = asdict(reading).keys() - {"gpus_missing", "limits"}
    assert all(isinstance(getattr(reading, part), Unknown) for part in parts)
    assert all(getattr(reading, part).reason for part in parts)


def test_a_section_that_is_cut_off_costs_that_section_only() -> None:
    body = "+ proc\nuptime:5.00 9.00\n- proc 0\n+ python\n/usr/bin/python3\n- python 0\n+ tmp\n/tmp\n"
    reading = parse_reading(sections(body))
    assert reading.uptime_s == 5.0
    assert reading.python == "/usr/bin/python3"
    assert reading.tmp == Unknown(reason="timed out")
