"""The playbooks that ship, and how their tests run them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from clbalance.model.playbook import Playbook, RunProgram, ShellText
from clbalance.playbook.load import load_playbook
from tests.cli.command import Command, Done

FOLDER = Path(__file__).parents[2] / "playbooks"
SHELLS = [shell for shell in (["dash"], ["busybox", "sh"]) if shutil.which(shell[0])]
"""Those of nodes that are installed here."""
SHIPPED = tuple(sorted(FOLDER.glob("*.yml")))

_WAITS = re.compile(r"\b(soak|every|delay): *[0-9][0-9a-z.]*")


def quick(clbalance: Command, name: str) -> str:
    """The shipped playbook as the user's own one with the same name, which is found first; it waits less.

    All else in it is as shipped. Returns the name, for `clbalance("play", quick(clbalance, NAME), ...)`.
    """
    text = (FOLDER / f"{name}.yml").read_text()
    config = clbalance.folder / "config"
    own = config / "clbalance" / "playbooks"
    own.mkdir(parents=True, exist_ok=True)
    (own / f"{name}.yml").write_text(_WAITS.sub(r"\1: 0.1", text))
    clbalance.env["XDG_CONFIG_HOME"] = str(config)  # type: ignore[index]  # the test's own dictionary
    return name


def given(**values: str) -> list[str]:
    """The options that set these variables."""
    return [word for name, value in values.items() for word in ("-e", f"{name}={value}")]


def shipped(file: Path) -> Playbook:
    """A playbook that ships, without the variables that must be given."""
    return load_playbook(file.read_bytes(), str(file))


def shell_texts(playbook: Playbook) -> dict[str, str]:
    """The shell text of each step that has one, by name, those of the rollback included."""
    return {
        step.name: step.action.program.text
        for step in (*playbook.steps, *playbook.rollback)
        if isinstance(step.action, RunProgram) and isinstance(step.action.program, ShellText)
    }


def refusal(name: str, step: str, folder: Path, **values: str) -> str:
    """What a step of a playbook says when it refuses these values of variables; empty: it went on.

    It runs here, in a shell that finds no program at all: a check that is missing could otherwise harm this machine.
    """
    playbook = shipped(FOLDER / f"{name}.yml")
    text = shell_texts(playbook)[step]
    variables = {f"VAR_{key}": value for key, value in {**playbook.variables, **values}.items()}
    done = subprocess.run(
        ["/bin/sh", "-c", text],
        env={"PATH": "", "HOME": str(folder), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode in (0, 127) else done.stderr


def nodes_of(done: Done) -> dict[str, dict[str, Any]]:
    """What became of each node, by name, in the order of turns: of `play --json`."""
    return {one["name"]: one for one in json.loads(done.stdout)["nodes"]}


def states_of(done: Done) -> dict[str, str]:
    """The state of each node: of `play --json`."""
    return {name: one["state"] for name, one in nodes_of(done).items()}


def home(clbalance: Command, node: str) -> Path:
    """The home folder of root on a node, `$HOME` there."""
    return Path(clbalance.env["CLBALANCE_LAB_DIR"]) / node / "home" / "root"


def drain_reasons(clbalance: Command, nodes: str) -> dict[str, str]:
    """The reasons of those nodes that are drained, by name."""
    listed = json.loads(clbalance("load", "-w", nodes, "--json").stdout)["nodes"]
    return {one["name"]: one["reason"] for one in listed if one["state"] in ("draining", "drained")}
