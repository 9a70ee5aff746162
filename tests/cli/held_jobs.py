"""Jobs as tests need them: that wait until they may end, seen as a program sees them."""

import json
from pathlib import Path
from typing import Any

from tests.waiting import eventually

from .command import Command

SOON = ("-t", "1s", "-u", "1s")
"""For nodes none of which answers, so that they are given up soon. Where one is to answer, see `LATER`."""
LATER = ("-t", "6s", "-u", "6s")
"""A node that does not answer is given up, and another one answers meanwhile, as slow as the machine may be."""


def held(text: str = "", gate: str = "go") -> str:
    """A job that goes on with `text` when the file `gate` appears in its folder."""
    return f"until [ -e {gate} ]; do sleep 0.05; done; {text}"


def let_go(command: Command, gate: str = "go") -> None:
    """Open a gate."""
    (command.folder / gate).touch()


def detached(command: Command, *arguments: str) -> str:
    """The number of a job that was left running."""
    done = command("run", "-q", "--detach", *arguments)
    assert done.rc == 0, done.stderr
    return done.text.strip()


def job(command: Command, number: str, *options: str) -> dict[str, Any]:
    """How it stands."""
    (found,) = json.loads(command("jobs", number, "--json", *options).text)["jobs"]
    assert isinstance(found, dict)
    return found


def await_file(path: Path) -> str:
    """What is in a file, once something is."""
    eventually(lambda: path.exists() and path.read_text())
    return path.read_text()
