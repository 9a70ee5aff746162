"""Draw docs/images/top-*.svg: what a terminal shows of `clbalance top` on a lab, after some keys. All of it is real."""

import io
import os
import pty
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pyte
from picture import PICTURE, exported, run
from rich.console import Console
from rich.style import Style
from rich.text import Text

LAB = """
clbalance lab up 24
eval "$(clbalance lab env)"
clbalance lab load node[1,6,9-11] --r1m 3.2 --ut 80
clbalance lab load node3 --mem-used 15.5G
clbalance lab load node[13,17] --gpu 0:95%:30G:train.py
clbalance lab load node15 --gpu 1:2%:12G:jupyter
clbalance lab kill node4
clbalance lab hang node20
clbalance drain node21 --reason 'new disk'
for name in train eval; do clbalance run -g gpu-nodes --gpus 1 --name $name --detach -c 'sleep 600'; done
clbalance run -w node[5-8] --pick 2 --cpus 2 --name solve --detach -c './solve --mesh fine; sleep 600'
"""
SCREENS = {
    "top-80x24": (80, 24, ""),
    "top-details-80x24": (80, 24, "G\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\r"),
    "top-140x40": (140, 40, "jj jjj "),
    "top-gpus-140x40": (140, 40, "2"),
}
"""Columns, rows, and the keys that are pressed."""
SETTLED_S = 14.0
"""Some rounds, so that there are rates and bars."""
COLORS = {"brown": "yellow", "brightblack": "bright_black", "brightbrown": "bright_yellow"}


def main() -> None:
    """Bring up a lab, and take a picture of each screen."""
    with tempfile.TemporaryDirectory() as folder, lab(folder) as env:
        for name, (columns, rows, keys) in SCREENS.items():
            screen = screen_after(keys, columns, rows, folder, env)
            (PICTURE.parent / f"{name}.svg").write_text(exported(console_of(screen), "clbalance top"))


@contextmanager
def lab(folder: str) -> Iterator[dict[str, str]]:
    """The environment of commands in it."""
    env = {
        "HOME": folder,
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PICTURE.parents[2]),
        "CLBALANCE_LAB_DIR": f"{folder}/lab",
        "TERM": "xterm-256color",
    }
    try:
        run(f"{{ {LAB} }} >&2", folder, env)
        yield env
    finally:
        run("clbalance lab down", folder, env)


def screen_after(keys: str, columns: int, rows: int, folder: str, env: dict[str, str]) -> pyte.Screen:
    """What the terminal shows some time after the keys."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (rows, columns))
    child = subprocess.Popen(
        ["setsid", "-c", "bash", "-c", 'eval "$(clbalance lab env)"; exec clbalance top -a'],
        stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=env,
    )  # fmt: skip
    os.close(slave)
    os.set_blocking(master, False)
    for typed, seconds in (("", SETTLED_S), (keys, SETTLED_S / 2)):
        os.write(master, typed.encode())
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                stream.feed(os.read(master, 65536))
            except BlockingIOError:
                time.sleep(0.05)
    child.terminate()
    os.close(master)
    child.wait()
    return screen


def console_of(screen: pyte.Screen) -> Console:
    """The same cells with the same styles."""
    console = Console(record=True, file=io.StringIO(), width=screen.columns, force_terminal=True)
    for row in range(screen.lines):
        cells = [screen.buffer[row][column] for column in range(screen.columns)]
        line = Text()
        for style, same in groupby(cells, style_of):
            line.append("".join(cell.data for cell in same), style)
        line.rstrip()
        console.print(line, soft_wrap=True)
    return console


def style_of(cell: pyte.screens.Char) -> Style:
    """That of a blank is none, unless it is seen."""
    if cell.data == " " and not cell.reverse:
        return Style()
    color = None if cell.fg == "default" else COLORS.get(cell.fg, cell.fg)
    return Style(color=color, bold=cell.bold, reverse=cell.reverse)


if __name__ == "__main__":
    main()
