"""What completion may know: a state folder with nodes, jobs and names, some of them hostile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.store.state import SqliteStore
from tests.cli.command import Command

HOSTILE = (
    "$(touch pwned)",
    "`touch pwned`",
    "n*",
    "a b",
    "x;touch pwned",
    "--all",
    "-rf",
    "\x1b[31mred",
    "tab\there",
    "line\nfeed",
    "~root",
    "größe",
    "'quoted'",
    "$HOME",
    "a" * 300,
)
NODES = ("node1", "node2", "gpu-a.example")
RUNS = (
    ("upgrade", None, "ok"),
    ("upgrade", None, "failed"),
    ("push", None, "notstarted"),
    ("$(touch pwned)", None, "failed"),
    ("upgrade", 4, "ok"),
)
"""Playbook, the run that is rolled back, and the state of the node."""
Ask = Callable[..., list[str]]


@pytest.fixture
def state(alone: Command) -> Path:
    """The state folder of `alone`, with known names."""
    folder = Path(alone.env["CLBALANCE_STATE_DIR"])
    folder.mkdir(mode=0o700)
    with SqliteStore.open(folder) as store:
        database = store._connection
        for node in (*NODES, *HOSTILE):
            database.execute("INSERT INTO reading (node, at_us) VALUES (?, 0)", (node,))
        streak = "silent, answered, suspect, over, silent_at_s, at_s"
        database.execute(f"INSERT INTO strain (node, {streak}) VALUES ('silent3', 1, 0, 0, 0, 0, 0)")
        for name, state in (("train", "RUNNING"), ("sweep", "COMPLETED"), *((name, "RUNNING") for name in HOSTILE)):
            database.execute("INSERT INTO job (key, name, state) VALUES (?, ?, ?)", (name, name, state))
        for number, (playbook, rolls_back, state) in enumerate(RUNS, start=1):
            columns = (
                "id, playbook, file, text_hash, typed, by, submit_host, started_us, since_us, state, pool, content"
            )
            values = (number, playbook, "", "", "{}", "", "", 0, 0, "stopped", "[]", "")
            database.execute(f"INSERT INTO play ({columns}) VALUES ({', '.join('?' * len(values))})", values)
            database.execute("UPDATE play SET rolls_back = ? WHERE id = ?", (rolls_back, number))
            database.execute("INSERT INTO play_node (run, node, rank, state) VALUES (?, 'n1', 0, ?)", (number, state))
    names = ["default local", "group local:gpu", "group local:cpu", "group slurm:batch", "label rack=r1", "taint out"]
    hostile = [name for name in HOSTILE if "\n" not in name]
    names += [f"{kind}{name}" for kind in ("group local:", "label ", "label x=", "taint ") for name in hostile]
    (folder / "completion-names").write_text("\n".join(names), encoding="utf-8")
    return folder


@pytest.fixture
def ask(alone: Command) -> Ask:
    """The words that a shell is offered after the words `before`; the last one is being typed."""

    def asked(*before: str) -> list[str]:
        done = alone(*before, env={"_CLBALANCE_COMPLETE": "words"})
        assert (done.rc, done.stderr) == (0, "")
        source, *lines = done.lines
        return [line.split("\t")[0] for line in lines] if source == "words" else [source]

    return asked
