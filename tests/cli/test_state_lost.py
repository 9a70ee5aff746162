"""A state database that is lost, damaged, or on a disk without room: who refuses, who goes on, and what is told."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import ARGV, Command
from tests.cli.held_jobs import detached, held, job, let_go
from tests.waiting import eventually

REFUSE = [
    ("run", "--", "true"),
    ("run", "--array", "1-2", "--", "true"),
    ("run", "--detach", "--", "true"),
    ("jobs",),
    ("wait", "1"),
    ("attach", "1"),
    ("logs", "1"),
    ("cancel", "1"),
    ("requeue", "1"),
    ("explain", "1"),
    ("rebalance",),
    ("rebalance", "--apply"),
    ("history",),
]
"""They are about jobs or about the memory itself."""
GO_ON = [("load",), ("pick",), ("metrics",), ("reap",)]


def state(command: Command) -> Path:
    return Path(command.env["CLBALANCE_STATE_DIR"])


def test_numbers_go_on_after_a_lost_database_and_that_is_told_once(lab: Lab, clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "--name", "train", "-c", held())
    for file in state(clbalance).glob("state.db*"):
        file.unlink()
    done = clbalance("jobs", "-q")
    assert done.stderr == (
        "clbalance: warning: the state database has lost job 1: what runs goes on and is shown by `clbalance jobs -a`"
        " (or `-w NODES`), and no number is used again\n"
    )
    again = clbalance("jobs", "-w", "node1")
    assert (again.stderr, "train" in again.text, "submitted elsewhere" in again.text) == ("", True, True)
    assert detached(clbalance, "-w", "node1", "-c", held()) == "2"
    let_go(clbalance)
    assert clbalance("wait", "2").rc == 0


def test_a_first_use_says_nothing_of_the_database(alone: Command) -> None:
    assert "state database" not in alone("jobs").stderr
    assert "state database" not in alone("run", "--", "true").stderr


@pytest.mark.parametrize(
    ("verb", "how"),
    [(verb, "damaged") for verb in (*REFUSE, *GO_ON)]
    + [(verb, how) for verb in (REFUSE[0], GO_ON[0]) for how in ("newer", "a folder")],
)
def test_without_its_database_a_verb_for_jobs_refuses_and_the_others_go_on_and_say_so(
    alone: Command, verb: tuple[str, ...], how: str
) -> None:
    state(alone).mkdir(mode=0o700)
    if how == "a folder":
        (state(alone) / "state.db").mkdir()
    elif how == "newer":
        with closing(sqlite3.connect(state(alone) / "state.db")) as database:
            database.execute("PRAGMA user_version = 99")
    else:
        (state(alone) / "state.db").write_bytes(b"nonsense" * 1000)
    done = alone(*verb)
    if verb in GO_ON:
        assert done.rc == 0
        assert "warning: continuing without the state database: " in done.stderr
    else:
        assert done.rc == (125 if verb[0] == "run" else 1)
        assert "continuing without" not in done.stderr
        assert "hint: " in done.stderr
    if how == "damaged":
        assert "state.db` is damaged" in done.stderr


def test_a_damaged_database_is_moved_away_as_told_and_numbers_go_on(alone: Command) -> None:
    assert alone("run", "--", "true").rc == 0
    (state(alone) / "state.db").write_bytes(b"nonsense" * 1000)
    refused = alone("run", "--", "true")
    hint = refused.stderr.splitlines()[-1]
    subprocess.run(["/bin/sh", "-c", hint.split("`")[1]], check=True)
    done = alone("run", "--detach", "--", "true")
    assert (done.rc, done.text) == (0, "2\n")
    assert "has lost job 1: " in done.stderr
    assert alone("wait", "2").rc == 0


IN_LITTLE_ROOM = """
mount -t tmpfs -o size=1m,mode=0700 none "$CLBALANCE_STATE_DIR" || exit 99
"$@" run -- true || exit 98
case $HOW in
full) dd if=/dev/zero of="$CLBALANCE_STATE_DIR/fill" bs=1024 count=2048 2>&3;;
read-only) mount -o remount,ro "$CLBALANCE_STATE_DIR";;
esac
while read -r verb; do
    echo "== $verb"
    "$@" $verb 2>&1 < /dev/null
    echo "rc $?"
done
"""


@pytest.mark.parametrize(
    ("how", "told"), [("full", "no space left for the state database"), ("read-only", "cannot be opened for writing")]
)
def test_a_full_or_read_only_disk_is_named_by_every_verb(alone: Command, how: str, told: str) -> None:
    state(alone).mkdir(mode=0o700)
    verbs = [*REFUSE, *GO_ON]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "/bin/sh", "-c", f"exec 3> /dev/null; {IN_LITTLE_ROOM}", "sh", *ARGV],
        input="".join(f"{' '.join(verb)}\n" for verb in verbs).encode(),
        capture_output=True,
        env={**alone.env, "HOW": how},
        cwd=alone.folder,
        check=False,
    )
    if done.returncode in {1, 99}:
        pytest.skip("no mounts in a namespace of our own")
    answers = done.stdout.decode().split("== ")[1:]
    assert len(answers) == len(verbs)
    for verb, answer in zip(verbs, answers, strict=True):
        assert told in answer or "rebalance.lock` cannot be written: Read-only file system" in answer, answer
        assert f"{state(alone)}/" in answer, answer
        code = 0 if verb in GO_ON else 125 if verb[0] == "run" else 1
        assert answer.endswith(f"rc {code}\n"), answer
        assert "hint: " in answer or verb in GO_ON, answer


def test_a_database_that_fails_while_a_job_runs_costs_the_memory_and_not_the_result(clbalance: Command) -> None:
    child = clbalance.start("run", "-w", "node1", "-c", f"touch up; {held('exit 7')}")
    eventually(lambda: (clbalance.folder / "up").exists() and job(clbalance, "1")["state"] == "RUNNING")
    with closing(sqlite3.connect(state(clbalance) / "state.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        let_go(clbalance)
        _, err = child.communicate()
        database.execute("ROLLBACK")
    assert child.returncode == 7
    assert b"continuing without the state database: " in err
    assert (job(clbalance, "1")["state"], job(clbalance, "1")["rc"]) == ("FAILED", 7)


@pytest.mark.parametrize("options", [(), ("--output", "out"), ("--array", "1")], ids=" ".join)
def test_a_database_that_is_damaged_while_a_job_runs_costs_the_memory_and_not_the_result(
    clbalance: Command, options: tuple[str, ...]
) -> None:
    child = clbalance.start("run", "-w", "node1", *options, "-c", f"touch up; {held('exit 7')}")
    eventually(lambda: (clbalance.folder / "up").exists() and job(clbalance, "1")["state"] == "RUNNING")
    for file in state(clbalance).glob("state.db*"):
        with file.open("r+b") as opened:
            opened.write(b"nonsense" * (file.stat().st_size // 8))
    let_go(clbalance)
    _, err = child.communicate()
    assert child.returncode == 7, err
    assert b"continuing without the state database: " in err
    assert "is damaged" in clbalance("jobs").stderr
