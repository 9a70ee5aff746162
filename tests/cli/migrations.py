"""Jobs that may be moved, as tests need them: they tell where they are, and should two of one run at once."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from clbalance.lab.cluster import Lab
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import is_queued
from clbalance.store.state import SqliteStore
from tests.waiting import eventually

from . import forks
from .command import Child, Command, killed
from .held_jobs import detached

ONCE = """exec 9>>lock; flock -n 9 || echo $CLBALANCE_NODE >> twice
echo "$CLBALANCE_NODE $CLBALANCE_RESTART_COUNT $CLBALANCE_PREV_NODES" >> diary
"""
"""What a job does first: should it run twice, the second one says so."""
WAITS = "until [ -e go ]; do sleep 0.1; done; exit 7"
REQUEUE = ("--requeue",)
CHECKPOINT = ("--checkpoint", "USR1:20s")
BY_CODE = f"trap 'echo saved >> state; exit 85' USR1; {ONCE}{WAITS}"
BY_FILE = f"trap 'echo saved >> state' USR1; {ONCE}{WAITS}"
SLOW = f"trap 'touch asked; until [ -e saved ]; do sleep 0.02; done; exit 85' USR1; {ONCE}{WAITS}"
"""It takes its time to checkpoint."""
DEAF = f"trap '' USR1; {ONCE}{WAITS}"
KINDS = {"requeue": (*REQUEUE, "-c", ONCE + WAITS), "checkpoint": (*CHECKPOINT, "-c", BY_CODE)}
NODES = ("-w", "node[1-2]")


def diary(clbalance: Command) -> list[list[str]]:
    path = clbalance.folder / "diary"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def runs(clbalance: Command, starts: int = 1) -> None:
    """Wait for so many starts."""
    eventually(lambda: len(diary(clbalance)) >= starts)


def other(node: str) -> str:
    return {"node1": "node2", "node2": "node1"}[node]


def start_mover(clbalance: Command, *words: str, **env: str) -> Child:
    argv = [sys.executable, "-m", "tests.cli.migrate", *words]
    child = forks.start(argv, env={**clbalance.env, **env}, cwd=clbalance.folder)
    clbalance.opened.callback(killed, child)
    return child


def finished(child: Child) -> tuple[int, str]:
    out, err = child.communicate()
    assert b"Traceback" not in err, err.decode()
    return child.returncode, out.decode()


def move(clbalance: Command, *words: str, **env: str) -> list[list[str]]:
    code, message = finished(start_mover(clbalance, *words, **env))
    assert code == 0
    found: list[list[str]] = json.loads(message)
    return found


def word(clbalance: Command, number: str = "1") -> tuple[str, str, str]:
    """A move of that job, where it is, and where it is to go."""
    runs(clbalance)
    eventually(lambda: record(clbalance, int(number)).state is JobState.RUNNING)
    (src,) = record(clbalance, int(number)).nodes
    return f"{number}:{src}:{other(src)}", src, other(src)


def moved_past_a_dead_target(lab: Lab, clbalance: Command) -> tuple[str, str]:
    """Job 1, a `SLOW` one on node[1-3], whose target dies while it checkpoints: where it was, and where it went instead."""
    runs(clbalance)
    eventually(lambda: record(clbalance).state is JobState.RUNNING)
    (src,) = record(clbalance).nodes
    dst, third = sorted({"node1", "node2", "node3"} - {src})
    mover = start_mover(clbalance, f"1:{src}:{dst}")
    eventually((clbalance.folder / "asked").exists)
    lab.node(dst).kill()
    (clbalance.folder / "saved").touch()
    assert finished(mover) == (0, f'[["Migrated", "{third}"]]\n')
    return src, third


def never_twice(clbalance: Command) -> None:
    assert not (clbalance.folder / "twice").exists()


def moved_once(clbalance: Command, src: str, dst: str) -> None:
    """It was on both nodes, one after the other, and knows that."""
    runs(clbalance, 2)
    assert diary(clbalance) == [[src, "0"], [dst, "1", src]]
    never_twice(clbalance)


def record(clbalance: Command, number: int = 1) -> JobRecord:
    """As the submit host remembers it, asking no node."""
    (database,) = Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("state.db")
    with SqliteStore.open(database.parent) as store, contextlib.closing(store.journal()) as journal:
        found = journal.record(number)
    assert found is not None
    return found


def orphan(clbalance: Command, *options: str) -> None:
    """A detached job of nobody's; with `--requeue`, its keeper is killed first."""
    detached(clbalance, *NODES, *options)
    runs(clbalance)
    eventually(lambda: record(clbalance).state is JobState.RUNNING)
    for keeper in keepers(clbalance):
        os.kill(keeper, signal.SIGKILL)
    eventually(lambda: not record(clbalance).has_controller)


def keepers(clbalance: Command) -> list[int]:
    """The processes that have jobs in hand: each has a file of the controllers open."""
    state = clbalance.env["CLBALANCE_STATE_DIR"]
    return [
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and any(link.startswith(state) and "/controllers/" in link for link in links(process))
    ]


def links(process: Path) -> list[str]:
    found = []
    with contextlib.suppress(OSError):  # the process is gone meanwhile
        for fd in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # this file was closed meanwhile
                found.append(os.readlink(fd))
    return found


def no_lease(clbalance: Command, node: str) -> None:
    """Wait until the node has none left: one that was only reserved goes with the session of who asked for it."""

    def leases() -> Any:
        (found,) = json.loads(clbalance("load", "-w", node, "--json").text)["nodes"]
        return found["leases"]

    eventually(lambda: leases() == [])


def is_held(folder: Path) -> bool:
    """Whether a process of the job that works in this folder lives, wherever."""
    return subprocess.run(["flock", "-n", "lock", "true"], cwd=folder, check=False).returncode != 0


def looked_at(clbalance: Command, number: int = 1) -> JobRecord:
    """As it stands when somebody has looked, who settles what can be settled."""
    clbalance("jobs", str(number))
    return record(clbalance, number)


def is_in_one_place(clbalance: Command, folder: Path, number: int = 1) -> bool:
    """It runs and is known to run; or it does not, and is known to wait."""
    found = looked_at(clbalance, number)
    assert not found.state.is_over, found
    return found.state is JobState.RUNNING if is_held(folder) else is_queued(found)
