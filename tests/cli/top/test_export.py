"""Rows in a file: exact values, and nothing in them that acts on a terminal."""

import json
from pathlib import Path

import pytest

from clbalance.cli.top.acts import export
from clbalance.errors import ClbalanceError
from clbalance.render.table import Column
from clbalance.render.top.item import Item, Items, TopColumn, Value

ITEMS = Items(
    columns=(TopColumn(column=Column(heading="JOB")), TopColumn(column=Column(heading="CPUS"))),
    items=(
        Item(key="a", values=(Value.of('x, "y"\x1b[2J\nz'), Value.number(1.23456789))),
        Item(key="b", values=(Value.of(""), Value.number(None))),
    ),
)


def test_csv_has_a_line_for_each_row_whatever_is_in_it(tmp_path: Path) -> None:
    assert export(ITEMS, f"{tmp_path}/out.csv") == f"2 rows in {tmp_path}/out.csv"
    assert (tmp_path / "out.csv").read_text() == 'JOB,CPUS\n"x, ""y""\\x1b[2J\\x0az",1.23456789\n,\n'


def test_json_has_the_text_as_it_is(tmp_path: Path) -> None:
    export(ITEMS, f"{tmp_path}/out.JSON")
    text = (tmp_path / "out.JSON").read_text()
    assert "\x1b" not in text
    assert json.loads(text)["rows"][0] == {"JOB": 'x, "y"\x1b[2J\nz', "CPUS": 1.23456789}


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClbalanceError, match="folder"):
        export(ITEMS, f"{tmp_path}/no/folder.csv")
