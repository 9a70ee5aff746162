"""What users see, to the letter."""

import json
from collections.abc import Callable

import pytest

from clbalance.render.renderer import Format, Renderer, renderer
from tests.render.build import small_cluster

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


def _pretty(text: str) -> str:
    """JSON over many lines, so that a change of it can be read."""
    return json.dumps(json.loads(text), indent=1) + "\n" if text.startswith('{"schema"') else text
