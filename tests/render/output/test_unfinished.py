"""Lines without an end, as several nodes print them on a terminal."""

import pyte
import pytest

from clbalance.model import NodeName
from clbalance.render.output.labelled import Labelled
from tests.render.output.test_streams import Caught

N1, N2 = NodeName("node1"), NodeName("node2")


class Shown:
    """Labelled output with a clock of its own, and the screen that a user would see."""

    def __init__(self, *, terminal: bool = True) -> None:
        self.now = 100.0
        self.caught = Caught(terminal=terminal)
        self.remarks = 0
        self.output = Labelled(self.caught.outlets, before=self._before, clock=lambda: self.now)

    def _before(self) -> None:
        self.remarks += 1

    def write(self, node: NodeName, text: bytes) -> None:
        self.output.write(node, "stdout", text)

    def after(self, seconds: float) -> float | None:
        self.now += seconds
        return self.caught.outlets.show_unfinished()

    @property
    def lines(self) -> list[str]:
        screen = pyte.Screen(60, 20)
        pyte.ByteStream(screen).feed(self.caught.out.replace(b"\n", b"\r\n"))
        return [line.rstrip() for line in screen.display if line.strip()]


def test_a_prompt_is_shown_after_half_a_second_and_goes_on_where_it_stands() -> None:
    shown = Shown()
    shown.write(N1, b"Name? ")
    assert shown.after(0.4) == pytest.approx(0.1)
    assert shown.lines == []
    assert shown.after(0.1) is None
    assert shown.caught.out == b"node1: Name? "
    shown.write(N1, b"Ada\nnext\n")
    assert shown.lines == ["node1: Name? Ada", "node1: next"]


def test_nothing_waits_once_it_is_shown() -> None:
    shown = Shown()
    assert shown.after(1.0) is None
    shown.write(N1, b"a line\n")
    assert shown.after(1.0) is None
    shown.write(N1, b"half")
    shown.after(1.0)
    assert shown.after(100.0) is None
    assert shown.remarks == 1


def test_lines_of_two_nodes_never_mix() -> None:
    shown = Shown()
    shown.write(N1, b"one")
    shown.after(0.5)
    shown.write(N2, b"two\n")
    shown.write(N1, b" more\n")
    assert shown.lines == ["node1: one", "node2: two", "node1:  more"]


def test_a_line_that_is_whole_already_does_not_pull_the_next_one_up() -> None:
    shown = Shown()
    shown.write(N1, b"one")
    shown.after(0.5)
    shown.write(N2, b"two")
    shown.after(0.5)
    shown.write(N1, b"\nnext\n")
    assert shown.lines == ["node1: one", "node2: two", "node1: next"]


def test_two_unfinished_lines_take_a_line_each() -> None:
    shown = Shown()
    shown.write(N1, b"a")
    shown.write(N2, b"b")
    shown.after(0.5)
    shown.write(N1, b"a")
    shown.write(N2, b"b\n")
    shown.after(0.5)
    shown.write(N1, b"\n")
    assert shown.lines == ["node1: a", "node2: bb", "node1: a"]


def test_a_line_that_is_whole_already_is_not_repeated() -> None:
    shown = Shown()
    shown.write(N1, b"done")
    shown.after(0.5)
    shown.write(N2, b"two\n")
    shown.write(N1, b"\nnext\n")
    assert shown.lines == ["node1: done", "node2: two", "node1: next"]


def test_a_progress_bar_begins_its_line_anew() -> None:
    shown = Shown()
    for percent in (b"10% slow", b"50%", b"100%"):
        shown.write(N1, b"\r" + percent)
        shown.after(0.5)
        assert shown.lines == [f"node1: {percent.decode()}"]
    shown.write(N1, b"\nnext\n")
    assert shown.lines == ["node1: 100%", "node1: next"]


def test_so_does_one_that_ends_with_a_return() -> None:
    shown = Shown()
    for percent in (b"10% slow", b"50%"):
        shown.write(N1, percent + b"\r")
        shown.after(0.5)
        assert shown.lines == [f"node1: {percent.decode()}"]
    shown.write(N1, b"100%\n")
    assert shown.lines == ["node1: 100%"]


def test_of_a_progress_bar_only_the_newest_state_is_kept() -> None:
    shown = Shown()
    for number in range(10_000):
        shown.write(N1, b"\r%d of 10000" % number)
        if number % 1000 == 999:
            shown.after(0.5)
    assert shown.lines == ["node1: 9999 of 10000"]


def test_what_controls_a_terminal_is_made_visible_whatever_its_cuts() -> None:
    shown = Shown()
    for piece in (b"a\x1b", b"]0;x\x07", b"\x1b[3", b"1mred \xc3", b"\xa9"):
        shown.write(N1, piece)
        shown.after(0.5)
    shown.write(N2, b"plain\n")
    assert shown.caught.out == (b"node1: a\\x1b]0;x\\x07\x1b[31mred \x1b[0m\xc3\xa9\nnode2: plain\n")


def test_no_line_can_pretend_to_come_from_another_node() -> None:
    shown = Shown()
    shown.write(N1, b"x")
    shown.after(0.5)
    shown.write(N1, b"\rnode2: forged")
    shown.after(0.5)
    shown.write(N1, b"\rnode2: again.\n")
    assert shown.lines == ["node1: node2: again."]


def test_the_end_of_a_copy_ends_its_line() -> None:
    shown = Shown()
    shown.write(N1, b"half")
    shown.after(0.5)
    shown.output.end(N1)
    shown.write(N2, b"two")
    shown.output.close()
    assert shown.lines == ["node1: half", "node2: two"]
    assert shown.caught.out.endswith(b"\n")
    assert shown.after(1.0) is None


def test_a_pipe_gets_whole_lines_only() -> None:
    shown = Shown(terminal=False)
    shown.write(N1, b"half")
    assert shown.after(10.0) is None
    shown.write(N2, b"two\n")
    shown.write(N1, b" a line\n")
    assert shown.caught.out == b"node2: two\nnode1: half a line\n"
