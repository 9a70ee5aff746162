"""The lines of a run on a terminal are drawn over themselves, and over nothing else."""

import os
import signal
import sys
from pathlib import Path

from tests.cli.command import THIS_TREE, Terminal

_DRAW = """
import os, sys
from clbalance.cli.play.progress import LiveArea
area = LiveArea(shown=True)
def draw():
    area.draw(lambda width, rows: ("x" * (width - 1), "y" * (width - 1)))
"""
_TWICE = f"{_DRAW}draw()\nsys.stdin.readline()\ndraw()\n"
_IN_BACKGROUND = f"""{_DRAW}
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    draw()
    os._exit(0)
os.waitpid(child, 0)
"""


def terminal(code: str, folder: Path) -> Terminal:
    return Terminal([sys.executable, "-c", code], {**os.environ, **THIS_TREE}, folder, 80, 24)


def second_draw(on: Terminal) -> bytes:
    """What comes once a key was pressed after the first one."""
    on.read_until(b"y" * 79)
    on.type(b"\n")
    assert on.end() == 0
    on.close()
    return on.raw.partition(b"y" * 79)[2]


def test_they_are_drawn_over_the_last_ones(tmp_path: Path) -> None:
    assert b"\r\x1b[1A\x1b[J" + b"x" * 79 in second_draw(terminal(_TWICE, tmp_path))


def test_a_narrower_terminal_has_broken_the_last_ones_and_none_of_their_rows_is_left(tmp_path: Path) -> None:
    on = terminal(_TWICE, tmp_path)
    on.read_until(b"y" * 79)
    on.resize(24, 40)
    assert b"\r\x1b[3A\x1b[J" + b"x" * 39 in second_draw(on)


def test_what_a_shell_has_written_while_it_was_stopped_stays(tmp_path: Path) -> None:
    on = terminal(_TWICE, tmp_path)
    on.read_until(b"y" * 79)
    os.kill(on.child.pid, signal.SIGCONT)
    drawn = second_draw(on)
    assert b"x" * 79 in drawn
    assert b"A\x1b[J" not in drawn


def test_nothing_is_drawn_in_the_background(tmp_path: Path) -> None:
    on = terminal(_IN_BACKGROUND, tmp_path)
    assert on.end() == 0
    on.close()
    assert on.raw == b""
