"""Progress in a pipe: somebody who reads it is told once a minute; cron is told nothing."""

import os
import subprocess
import sys

import pytest

from tests.cli.command import THIS_TREE

MINUTES = """
from clbalance.cli.progress import ProgressLine

now = 0.0
line = ProgressLine(quiet={quiet}, clock=lambda: now)
for now in range(0, 150, 10):
    line.show(lambda width: f"{{now}} s")
"""


def told(given: str, *, quiet: bool = False) -> list[str]:
    """What a pipe on standard error gets within 150 s, with that standard input."""
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    argv = [sys.executable, "-c", MINUTES.format(quiet=quiet)]
    if given == "a pipe that was closed":
        os.close(writer)
    stdin = null if given == "/dev/null" else reader
    done = subprocess.run(argv, stdin=stdin, stderr=subprocess.PIPE, env={**os.environ, **THIS_TREE}, check=True)
    for fd in (reader, null, *([] if given == "a pipe that was closed" else [writer])):
        os.close(fd)
    return done.stderr.decode().splitlines()


def test_who_reads_a_pipe_is_told_once_a_minute() -> None:
    assert told("a pipe") == ["clbalance: 60 s", "clbalance: 120 s"]


@pytest.mark.parametrize("given", ["a pipe that was closed", "/dev/null"])
def test_cron_is_told_nothing(given: str) -> None:
    assert told(given) == []


def test_quiet_is_quiet() -> None:
    assert told("a pipe", quiet=True) == []
