"""`load --watch` redraws by itself; `COLUMNS` is obeyed in pipes; what a narrow window lacks is named."""

import json
import re
import signal

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, impatient, send
from tests.cli.held_jobs import LATER


@pytest.fixture
def clbalance(clbalance: Command) -> Command:
    """With the program's own patience for late nodes."""
    return impatient(clbalance)


def test_it_redraws_in_place_until_ctrl_c(lab: Lab, clbalance: Command) -> None:
    terminal = clbalance.on_terminal("load", "-w", "node[1-2]", "--watch", "1")
    terminal.read_until(b", every 1 s")
    terminal.read_until(b"0.00")
    lab.node("node2").load(r1m=3.25)
    terminal.read_until(b"3.25")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert [line.split()[0] for line in terminal.lines if line.startswith("node")] == ["node1", "node2"]


def test_a_node_that_hangs_holds_up_no_drawing(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").hang()
    terminal = clbalance.on_terminal("load", "-w", "node[1-2]", *LATER, "--watch", "1")
    terminal.read_until(b"no answer yet")
    terminal.read_until(b"timed out")
    terminal.type(b"\x03")
    assert terminal.end() == 130


def test_a_node_that_dies_and_comes_back_is_drawn_as_it_is(lab: Lab, clbalance: Command) -> None:
    terminal = clbalance.on_terminal("load", "-w", "node[1-2]", "--watch", "1")
    terminal.read_until(b"0.00")
    lab.node("node2").kill()
    terminal.read_until(b"down")
    lab.node("node2").boot()
    lab.node("node2").load(r1m=3.25)
    terminal.read_until(b"3.25")
    terminal.type(b"\x03")
    assert terminal.end() == 130


def test_a_screen_that_is_too_low_says_how_much_is_below(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("load", "-w", "node[1-8]", "--watch", "1", env={"LINES": "6"})
    terminal.read_until(b"more line")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert terminal.lines[0].endswith("every 1 s")


def test_in_a_pipe_each_table_stands_below_the_last(clbalance: Command) -> None:
    child = clbalance.start("load", "-w", "node1", "--watch", "1")
    assert child.stdout is not None
    text = b""
    while text.count(b"every 1 s") < 2:
        text += child.stdout.read1()  # type: ignore[union-attr]
    send(child, signal.SIGTERM)
    assert ended(child) == 143
    assert b"\x1b" not in text


def test_json_is_one_document_a_line(clbalance: Command) -> None:
    child = clbalance.start("load", "-w", "node1", "--json", "--watch", "1")
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(2)]
    send(child, signal.SIGTERM)
    assert ended(child) == 143
    assert [json.loads(line)["nodes"][0]["name"] for line in lines] == ["node1", "node1"]


@pytest.mark.parametrize("typed", ["0", "0.5", "soon", "-1"])
def test_an_interval_that_makes_no_sense_is_told(clbalance: Command, typed: str) -> None:
    done = clbalance("load", "-w", "node1", "--watch", typed)
    assert (done.rc, "`--watch` cannot be" in done.stderr) == (2, True)


# -- width ------------------------------------------------------------------------------------------


def test_columns_is_obeyed_in_a_pipe(clbalance: Command) -> None:
    narrow = clbalance("load", "-w", "node[1-2]", env={"COLUMNS": "80"})
    assert max(map(len, narrow.lines)) <= 80
    assert re.fullmatch(r"[1-9][0-9]* columns more at [0-9]+: .*r15m.*", narrow.lines[-1])
    wide = clbalance("load", "-w", "node[1-2]", env={"COLUMNS": "200"})
    assert "r15m" in wide.lines[0]
    assert len(wide.lines) == 3


@pytest.mark.parametrize("columns", ["", "0", "-5", "many", "99999999999"])
def test_columns_that_make_no_sense_cut_nothing(clbalance: Command, columns: str) -> None:
    assert "r15m" in clbalance("load", "-w", "node1", env={"COLUMNS": columns}).lines[0]


# -- ends -------------------------------------------------------------------------------------------


def test_with_b_nodes_that_ended_alike_are_one_row(clbalance: Command) -> None:
    text = '[ "$CLBALANCE_NODE" != node3 ]'
    done = clbalance("run", "-w", "node[1-4]", "--pick", "all", "-b", "-c", text)
    rows = [line.split()[:3] for line in done.stderr.splitlines() if line.startswith("node")]
    assert (done.rc, rows) == (1, [["node[1-2,4]", "COMPLETED", "0"], ["node3", "FAILED", "1"]])
    each = clbalance("run", "-w", "node[1-4]", "--pick", "all", "-c", text)
    assert len([line for line in each.stderr.splitlines() if line.startswith("node")]) == 4
