"""What users see, to the letter."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from clbalance.errors import NothingFitsError
from clbalance.render.rebalance import pool_heading, remarks
from clbalance.render.renderer import Format, Renderer, renderer
from tests.render.build import small_cluster
from tests.render.rebalances import DONE, PLANNED, POOL

Golden = Callable[[str, str], None]

_FORMS: dict[str, Renderer] = {
    "80": renderer(Format.HUMAN, terminal_width=80, color=False),
    "140": renderer(Format.HUMAN, terminal_width=140, color=False),
    "pipe": renderer(Format.HUMAN, terminal_width=None, color=False),
    "json": renderer(Format.JSON, terminal_width=None, color=False),
    "plain": renderer(Format.PLAIN, terminal_width=None, color=False),
}
_each_form = pytest.mark.parametrize("form", _FORMS)


def _name(verb: str, form: str) -> str:
    return f"{verb}-{form}.{'json' if form == 'json' else 'txt'}"


@_each_form
def test_load(form: str, golden: Golden) -> None:
    golden(_name("load", form), _pretty(_FORMS[form].load(small_cluster())))


@_each_form
def test_error(form: str, golden: Golden) -> None:
    error = NothingFitsError("0/12 nodes fit: 5 load above 1.00, 7 silent", hint="`clbalance load` shows them")
    golden(_name("error", form), _pretty(_FORMS[form].error(error)))


def _pretty(text: str) -> str:
    """JSON over many lines, so that a change of it can be read."""
    return json.dumps(json.loads(text), indent=1) + "\n" if text.startswith('{"schema"') else text


@_each_form
def test_a_plan_of_moves(form: str, golden: Golden) -> None:
    told = "".join(f"{line}\n" for line in (pool_heading(POOL), *remarks(POOL)))
    golden(_name("rebalance", form), _pretty(_FORMS[form].rebalance(PLANNED)) + (told if form == "pipe" else ""))


@_each_form
def test_what_was_moved(form: str, golden: Golden) -> None:
    lines = "".join(map(_FORMS[form].rebalance_deed, DONE))
    done = replace(PLANNED, deeds=DONE, applied=True)
    golden(_name("rebalance-done", form), lines + _pretty(_FORMS[form].rebalance_done(done)))
