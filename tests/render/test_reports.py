"""Every report in every form: what users see, to the letter."""

import json
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest

import clbalance.render.reports
from clbalance.render.report import Report

from .examples import DISPLAYS, Example, all_examples

_ALL = list(all_examples())
_NAMED = {example.name: example for one in _ALL for example in one.examples}


@pytest.mark.parametrize("form", DISPLAYS)
@pytest.mark.parametrize("name", _NAMED)
def test_golden(name: str, form: str, golden: Callable[[str, str], None]) -> None:
    golden(_NAMED[name].file(form), shown(_NAMED[name], form))


def shown(example: Example, form: str) -> str:
    text = "".join(_over_lines(DISPLAYS[form].text(report)) for report in example.reports)
    return text + (example.beside if form == "pipe" else "")


def _over_lines(text: str) -> str:
    """JSON over many lines, so that a change of it can be read."""
    return json.dumps(json.loads(text), indent=1) + "\n" if text.startswith('{"schema"') else text


def reports() -> Iterator[type]:
    """Every class of `render/reports/` that draws itself."""
    for found in pkgutil.walk_packages(clbalance.render.reports.__path__, "clbalance.render.reports."):
        module = import_module(found.name)
        yield from (
            one
            for one in vars(module).values()
            if isinstance(one, type) and Report in one.__mro__[1:] and one.__module__ == module.__name__
        )


def test_every_report_has_a_golden_in_every_form() -> None:
    drawn = {type(report) for example in _NAMED.values() for report in example.reports}
    assert set(reports()) == drawn


def test_every_report_is_tried_with_hostile_text() -> None:
    tried = {type(report) for one in _ALL for report in one.hostile("a", "b")}
    assert set(reports()) == tried
