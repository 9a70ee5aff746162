"""Rows in a file: exact values, and nothing in them that acts on a terminal."""

import json
from pathlib import Path

import pytest

from clbalance.cli.top.acts import TerminalCommand, export, is_there
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


def test_no_cell_is_a_formula_for_a_spreadsheet(tmp_path: Path) -> None:
    columns = (TopColumn(column=Column(heading="NAME")),)
    items = tuple(Item(key=text, values=(Value.of(text),)) for text in ("=1+1", "+1", "-1", "@SUM(A1)", "a=b"))
    export(Items(columns=columns, items=items), f"{tmp_path}/out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "a=b"]


def test_only_a_file_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "old.csv").touch()
    assert is_there(f"{tmp_path}/old.csv")
    assert not is_there(f"{tmp_path}/new.csv")
    assert not is_there("~nobody-of-this-name/x")
    with pytest.raises(ClbalanceError, match="is a folder"):
        is_there(str(tmp_path))
    with pytest.raises(ClbalanceError, match="no regular file"):
        is_there("/dev/null")


def test_a_command_that_is_ended_from_outside_waits_for_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    command = TerminalCommand(["sleep", "1000"], "sleep 1000")
    command.end()
    command.run()
    assert capfd.readouterr().out == "$ sleep 1000\n"
