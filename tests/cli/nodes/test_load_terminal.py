"""`clbalance load` on terminals: fitted to their width, coloured unless that is not wanted."""

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Terminal, impatient, local_ssh
from tests.cli.held_jobs import LATER
from tests.waiting import eventually

RESET_ONLY = {"default"}


@pytest.fixture
def clbalance(clbalance: Command) -> Command:
    """With the program's own patience for late nodes."""
    return impatient(clbalance)


@pytest.fixture
def mixed(lab: Lab) -> None:
    """A node of each state."""
    lab.node("node1").load(r1m=0.5)
    lab.node("node2").load(r1m=9.0)
    lab.node("node3").kill()


@pytest.mark.parametrize("columns", [80, 140])
def test_the_table_fits_the_terminal(mixed: None, clbalance: Command, columns: int) -> None:
    terminal = clbalance.on_terminal("load", "-w", "node[1-3]", columns=columns)
    assert terminal.end() == 0
    table, remark = terminal.lines[:4], terminal.lines[4:]
    assert [line.split()[0] for line in table] == ["NODE", "node1", "node2", "node3"]
    assert [line.split()[1] for line in table[1:]] == ["up", "busy", "down"]
    assert ["columns more at" in line for line in remark] == ([True] if columns == 80 else [False] * len(remark))
    assert {"green", "red"} <= terminal.colors()


def test_a_narrow_terminal_keeps_the_nodes_names_whole(mixed: None, clbalance: Command) -> None:
    terminal = clbalance.on_terminal("load", "-w", "node[1-3]", columns=30)
    assert terminal.end() == 0
    assert [line.split()[0] for line in terminal.lines if line.startswith("node")] == ["node1", "node2", "node3"]


@pytest.mark.parametrize(
    ("arguments", "env"), [((), {"NO_COLOR": "1"}), (("--color", "never"), {}), ((), {"TERM": "dumb"})]
)
def test_colours_can_be_declined(
    mixed: None, clbalance: Command, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    terminal = clbalance.on_terminal("load", "-q", "-w", "node[1-3]", *arguments, env=env)
    assert terminal.end() == 0
    assert terminal.colors() <= RESET_ONLY
    assert b"\x1b" not in terminal.printed


def test_colours_can_be_asked_for_in_a_pipe(clbalance: Command) -> None:
    assert b"\x1b[" in clbalance("load", "-w", "node1", "--color", "always").stdout
    assert b"\x1b[" in clbalance("load", "-w", "node1", env={"CLICOLOR_FORCE": "1"}).stdout


def test_progress_is_shown_while_nodes_are_slow_and_leaves_no_trace(lab: Lab, clbalance: Command) -> None:
    """Also while all that could answer at once have answered: it says who is awaited."""
    lab.node("node2").hang()
    lab.node("node4").hang()
    quiet = clbalance.on_terminal("load", "-w", "node[1-2]", "-t", "2", "-u", "1", "-q")
    assert quiet.end() == 0
    assert b"have answered" not in quiet.raw
    terminal = clbalance.on_terminal("load", "-w", "node[1-8]", "-t", "60", "-u", "60")
    terminal.read_until(b"\r\x1b[K6/8 nodes have answered, waiting for node[2,4]")
    for name in ("node2", "node4"):
        lab.node(name).thaw()
    assert terminal.end() == 0
    assert not any("have answered" in line for line in terminal.lines)


def is_awaited(terminal: Terminal) -> None:
    """Wait for the draft that lacks node4 alone, and for the line below it that names that node."""
    terminal.read_until(b"no answer yet")
    terminal.read_while(lambda: [row[1] for row in rows_of(terminal)[1:5]] != ["up", "up", "up", "unknown"])
    terminal.read_until(b"waiting for node4")


def rows_of(terminal: Terminal) -> list[list[str]]:
    """The words of each line of the tables, without the line that names the columns which are left out."""
    return [line.split() for line in terminal.lines if " more at " not in line]


def test_the_table_is_drawn_while_a_node_hangs_and_completed_in_its_place(lab: Lab, clbalance: Command) -> None:
    lab.node("node4").hang()
    terminal = clbalance.on_terminal("load", "-w", "node[1-4]", *LATER)
    is_awaited(terminal)
    assert [row[:2] for row in rows_of(terminal)[1:5]] == [
        *([f"node{number}", "up"] for number in (1, 2, 3)),
        ["node4", "unknown"],
    ]
    assert terminal.end() == 0
    assert [row[0] for row in rows_of(terminal)] == ["NODE", "node1", "node2", "node3", "node4"]
    assert "no answer yet" not in terminal.lines[-1]


def test_a_node_that_answers_late_gets_its_place_among_the_others(lab: Lab, clbalance: Command) -> None:
    for number in (1, 2, 3):
        lab.node(f"node{number}").load(r1m=1.0)
    lab.node("node4").hang()
    terminal = clbalance.on_terminal("load", "-w", "node[1-4]", "-t", "30", "-u", "30")
    is_awaited(terminal)
    lab.node("node4").thaw()
    assert terminal.end() == 0
    assert [row[0] for row in rows_of(terminal)] == ["NODE", "node4", "node1", "node2", "node3"]


def test_ctrl_c_leaves_the_draft_and_no_process(lab: Lab, clbalance: Command) -> None:
    lab.node("node4").hang()
    terminal = clbalance.on_terminal("load", "-w", "node[1-4]")
    is_awaited(terminal)
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert [row[0] for row in rows_of(terminal)][:5] == ["NODE", "node1", "node2", "node3", "node4"]
    eventually(lambda: not local_ssh(lab))


def test_a_draft_that_is_higher_than_the_screen_is_not_drawn_over(lab: Lab, clbalance: Command) -> None:
    lab.node("node4").hang()
    terminal = clbalance.on_terminal("load", "-w", "node[1-4]", *LATER, rows=4)
    is_awaited(terminal)
    assert terminal.end() == 0
    assert [row[0] for row in rows_of(terminal)] == ["NODE", "node1", "node2", "node3", "node4", "NODE", "node4"]


@pytest.mark.parametrize("arguments", [("-S",), ("--json",), ("--format", "plain")])
def test_there_is_no_draft_for_those_who_want_all_nodes(
    lab: Lab, clbalance: Command, arguments: tuple[str, ...]
) -> None:
    lab.node("node4").hang()
    terminal = clbalance.on_terminal("load", "-q", "-w", "node[1-4]", *LATER, *arguments)
    terminal.end()
    assert b"no answer yet" not in terminal.raw
    assert b"hung" in terminal.raw or b"timed out" in terminal.raw
