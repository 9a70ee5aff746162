"""The live screen of `top` on a real terminal: what is seen, what ends it, and what it leaves."""

import re
import signal

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Terminal, ended, nothing_left

_LEFT = b"\x1b[?1049l"
"""The terminal shows again what stood there before."""


def wait_for(terminal: Terminal, text: str) -> None:
    terminal.read_while(lambda: not any(text in line for line in terminal.lines))


def test_keys_move_through_views_and_q_leaves_nothing(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        terminal = clbalance.on_terminal("top", "-w", "node[1-3]", "--every", "1s", columns=80)
        wait_for(terminal, "3 nodes: 3 up")
        terminal.type(b"\x1b[200~q\x1b[201~j")  # a pasted text is no keys
        wait_for(terminal, "> node2")
        terminal.type(b"5")
        wait_for(terminal, "> all")
        terminal.type(b"\r")
        wait_for(terminal, "in all")
        terminal.type(b"/node3\r")
        wait_for(terminal, "/node3")
        wait_for(terminal, "1 row")
        terminal.type(b"\r")
        wait_for(terminal, "Esc: back")
        wait_for(terminal, "  0[")  # how busy each cpu is
        wait_for(terminal, "HISTORY")
        terminal.type(b"\x1b")
        wait_for(terminal, "Enter: details")
        terminal.type(b"eout.csv\r")
        wait_for(terminal, "1 row in out.csv")
        terminal.type(b"q")
        assert terminal.end() == 0
    assert _LEFT in terminal.raw
    written = (clbalance.folder / "out.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in written] == ["NODE", "node3"]


def test_filters_are_kept_for_the_next_call(lab: Lab, clbalance: Command) -> None:
    for keys in (b"/node1\r", b"/\x1b[A\r"):
        terminal = clbalance.on_terminal("top", "-w", "node[1-2]")
        wait_for(terminal, "2 nodes: 2 up")
        terminal.type(keys)
        wait_for(terminal, "/node1  1 row")
        terminal.type(b"q")
        assert terminal.end() == 0


def test_a_node_that_dies_is_a_row_with_its_reason_and_comes_back(lab: Lab, clbalance: Command) -> None:
    terminal = clbalance.on_terminal("top", "-w", "node[1-2]", "--every", "1s")
    wait_for(terminal, "2 nodes: 2 up")
    lab.node("node2").kill()
    wait_for(terminal, "1 up, 1 down")
    lab.node("node2").boot()
    wait_for(terminal, "2 nodes: 2 up")
    terminal.type(b"\x03")
    assert terminal.end() == 0


def test_a_signal_leaves_the_terminal_as_it_was(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        terminal = clbalance.on_terminal("top", "-w", "node[1-2]")
        wait_for(terminal, "2 nodes: 2 up")
        terminal.child.send_signal(signal.SIGHUP)
        assert terminal.end() == 128 + signal.SIGHUP
    assert _LEFT in terminal.raw


def test_it_ends_while_a_node_hangs(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").hang()
    terminal = clbalance.on_terminal("top", "-w", "node[1-2]", "-t", "60", "-u", "60")
    wait_for(terminal, "[1 nodes]")
    terminal.type(b"q")
    assert terminal.end() == 0


def test_any_size_and_any_key_will_do(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("top", "-w", "node[1-2]", columns=60)
    wait_for(terminal, "2 nodes: 2 up")
    for number in range(40):
        terminal.resize(1 + number * 7 % 30, 1 + number * 13 % 90)
        terminal.type(b"12345jkg,.S \x1b[A\x1b[B\x1b[5~"[number % 9 : number % 9 + 4])
    terminal.resize(24, 80)
    terminal.type(b"\x1b?")
    wait_for(terminal, "next view")
    terminal.type(b"\x03")
    assert terminal.end() == 0


def test_a_terminal_that_cannot_be_drawn_on_gets_frames_one_below_the_other(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("top", "-w", "node[1-2]", "--every", "1s", env={"TERM": "dumb"})
    terminal.read_while(lambda: sum("2 nodes: 2 up" in line for line in terminal.lines) < 2)
    terminal.child.send_signal(signal.SIGTERM)
    assert ended(terminal.child) == 143
    assert b"\x1b" not in terminal.raw


# -- actions: the verbs that one would type


def test_tagged_nodes_are_drained_and_resumed_after_a_question(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("top", "-w", "node[1-3]", "--every", "1s", columns=120)
    wait_for(terminal, "3 nodes: 3 up")
    terminal.type(b"  d")
    wait_for(terminal, "drain 2 nodes: node[1-2]; reason:")
    terminal.type(b"disk\r")
    wait_for(terminal, "Enter: back to top")
    terminal.type(b"\r")
    wait_for(terminal, "1 up")
    wait_for(terminal, "disk (by ")
    terminal.type(b"rn")
    wait_for(terminal, "no resume")
    terminal.type(b"q")
    assert terminal.end() == 0
    marks = clbalance("load", "-w", "node[1-3]", "--format", "plain").lines
    assert [line.split()[1] for line in sorted(marks)] == ["drained", "drained", "up"]


def test_read_only_asks_nothing_and_no_colour_is_shown_where_it_is_declined(clbalance: Command) -> None:
    (clbalance.folder / "clbalance.toml").write_text('[top.keys]\nquit = "x"\n')
    terminal = clbalance.on_terminal("top", "-w", "node[1-2]", "--readonly", env={"NO_COLOR": "1"})
    wait_for(terminal, "2 nodes: 2 up")
    terminal.type(b"rcdhse2")
    wait_for(terminal, "[2 GPUs]")
    assert not any("drain" in line for line in terminal.lines)
    terminal.type(b"qx")  # keys are those of the settings
    assert terminal.end() == 0
    assert not re.search(rb"\x1b\[(?:[0-9]*;)*(3[0-7]|4[0-7]|9[0-7]|10[0-7]|38|48)(?:;[0-9]*)*m", terminal.raw)
