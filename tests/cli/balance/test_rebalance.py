"""`rebalance` as a person and as cron see it: a plan first, then the same in earnest, and nothing where nothing is gained."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import ARGV, Command
from tests.cli.held_jobs import await_file, detached, held, job, let_go
from tests.waiting import eventually

AT_ONCE = "[rebalance]\nconfirm = 1\n"
"""Settings by which a node is relieved the first time that it is over."""


def settings(clbalance: Command, text: str) -> None:
    (clbalance.folder / "clbalance.toml").write_text(text)


def piled(lab: Lab, clbalance: Command, count: int, *arguments: str) -> list[str]:
    """Jobs that may be moved, all of them on node1, for the others were busy when they were submitted."""
    for name in ("node2", "node3"):
        lab.node(name).load(r1m=9.0)
    marked = ("-w", "node[1-3]", "--cpus", "1", *arguments)
    jobs = [detached(clbalance, *marked, "-c", held()) for _ in range(count)]
    eventually(lambda: all(job(clbalance, number)["state"] == "RUNNING" for number in jobs))
    for name in ("node2", "node3"):
        lab.node(name).load(r1m=0.0)
    return jobs


def plan(clbalance: Command, *arguments: str) -> dict[str, Any]:
    parsed = json.loads(clbalance("rebalance", "-w", "node[1-3]", *arguments, "--json").text)
    assert isinstance(parsed, dict)
    return parsed


def nodes_of(clbalance: Command, numbers: list[str]) -> list[str]:
    return sorted(job(clbalance, number)["node_set"] for number in numbers)


def test_a_pile_is_leveled_and_then_nothing_more_is_done(lab: Lab, clbalance: Command) -> None:
    settings(clbalance, AT_ONCE)
    jobs = piled(lab, clbalance, 4, "--requeue")
    dry = plan(clbalance)
    assert not dry["applied"]
    assert len(dry["moves"]) == 2
    assert dry["score_after"] < dry["score_before"]
    assert nodes_of(clbalance, jobs) == ["node1"] * 4
    done = plan(clbalance, "--apply")
    planned, moved = ([(one["job"], one["src"], one["dst"]) for one in parsed["moves"]] for parsed in (dry, done))
    assert sorted(moved) == sorted(planned)  # told as each has ended
    assert nodes_of(clbalance, jobs) == ["node1", "node1", "node2", "node3"]
    for _ in range(3):
        again = clbalance("rebalance", "-w", "node[1-3]", "--apply")
        assert (again.rc, again.text, again.stderr) == (0, "", "")
    let_go(clbalance)


def test_a_node_is_relieved_when_it_is_over_for_the_third_time_in_a_row(lab: Lab, clbalance: Command) -> None:
    jobs = piled(lab, clbalance, 4, "--requeue")
    for _ in range(2):
        quiet = clbalance("rebalance", "-w", "node[1-3]", "--apply")
        assert (quiet.rc, quiet.text, quiet.stderr) == (0, "", "")
        assert nodes_of(clbalance, jobs) == ["node1"] * 4
    assert len(clbalance("rebalance", "-w", "node[1-3]", "--apply").lines) == 2
    assert nodes_of(clbalance, jobs) == ["node1", "node1", "node2", "node3"]
    let_go(clbalance)


def test_a_plan_shows_what_would_be_done_and_what_waits_for_how_many_confirmations(
    lab: Lab, clbalance: Command
) -> None:
    jobs = piled(lab, clbalance, 4, "--requeue")
    for missing, runs in ((2, "after 2 runs"), (1, "after 1 run"), (0, "")):
        parsed = plan(clbalance)
        assert [one["confirmations_missing"] for one in parsed["moves"]] == [missing] * 2
        assert parsed["score_after"] < parsed["score_before"]
        assert {one["confirmations_missing"] for one in plan(clbalance, "--now")["moves"]} == {0}
        shown = clbalance("rebalance", "-w", "node[1-3]")
        assert shown.text.count(runs) == 2 if missing else "WHEN" not in shown.text
        assert (f"moved off {runs} of `rebalance --apply`, if it still is then" in shown.stderr) == bool(missing)
        if missing:
            assert clbalance("rebalance", "-w", "node[1-3]", "--apply").text == ""
    assert nodes_of(clbalance, jobs) == ["node1"] * 4
    let_go(clbalance)


def test_now_moves_jobs_without_any_confirmation(lab: Lab, clbalance: Command) -> None:
    jobs = piled(lab, clbalance, 4, "--requeue")
    planned = [(one["job"], one["dst"]) for one in plan(clbalance)["moves"]]
    done = plan(clbalance, "--apply", "--now")
    assert sorted((one["job"], one["dst"]) for one in done["moves"]) == sorted(planned)
    assert nodes_of(clbalance, jobs) == ["node1", "node1", "node2", "node3"]
    assert "nothing to start and nothing to move" in clbalance("rebalance", "-w", "node[1-3]").stderr
    let_go(clbalance)


def test_looking_does_not_count(lab: Lab, clbalance: Command) -> None:
    piled(lab, clbalance, 3, "--requeue")
    for _ in range(4):
        assert {move["confirmations_missing"] for move in plan(clbalance)["moves"]} == {2}
    let_go(clbalance)


def test_what_is_not_marked_is_never_touched(lab: Lab, clbalance: Command) -> None:
    settings(clbalance, AT_ONCE)
    numbers = piled(lab, clbalance, 3)
    parsed = plan(clbalance, "--apply")
    assert parsed["moves"] == []
    reasons = {one["reason"] for pool in parsed["pools"] for one in pool["stays"]}
    assert reasons == {"not marked `--requeue` or `--checkpoint`"}
    assert [job(clbalance, number)["attempt"] for number in numbers] == [1, 1, 1]
    let_go(clbalance)


def test_as_many_are_moved_as_one_says(lab: Lab, clbalance: Command) -> None:
    settings(clbalance, AT_ONCE)
    jobs = piled(lab, clbalance, 4, "--requeue")
    assert len(plan(clbalance, "--max-moves", "1")["moves"]) == 1
    assert plan(clbalance, "--max-moves", "0", "--apply")["moves"] == []
    assert plan(clbalance, "--min-gain", "9", "--apply")["moves"] == []
    assert nodes_of(clbalance, jobs) == ["node1"] * 4
    let_go(clbalance)


def test_a_job_that_waits_is_started_when_there_is_room(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    submitted = clbalance("run", "--detach", "--queue", "-w", "node1", "-c", "echo here > ran")
    assert submitted.rc == 0
    number = submitted.text.strip()
    assert job(clbalance, number)["state"] == "PENDING"
    waits = plan(clbalance, "--apply")
    assert (waits["started"], [one["job"] for one in waits["waiting"]]) == ([], [int(number)])
    assert clbalance("rebalance", "-w", "node[1-3]", "--apply").text == ""
    lab.node("node1").load(r1m=0.0)
    (dry,) = plan(clbalance)["started"]
    assert (dry["dst"], dry["why"].startswith("waited: 0/1 nodes fit: 1 load above ")) == ("node1", True)
    message = clbalance("rebalance", "-w", "node[1-3]", "--apply")
    assert message.lines[0].startswith(f"job {number} sh: node1: started")
    assert await_file(clbalance.folder / "ran") == "here\n"


def test_the_other_one_goes_on_and_this_one_says_so(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").hang()
    first = clbalance.start("rebalance", "-w", "node1", "--apply", "-t", "60s")
    lock = Path(clbalance.env["CLBALANCE_STATE_DIR"])
    eventually(lambda: [path for path in lock.rglob("rebalance.lock") if path.read_text()])
    second = clbalance("rebalance", "-w", "node1", "--apply")
    assert second.rc == 75
    assert "another `clbalance rebalance` is running (pid" in second.stderr
    quiet = clbalance("rebalance", "-w", "node1", "--apply", "-q", "--json")
    assert (quiet.rc, quiet.text, quiet.stderr) == (75, "", "")
    first.terminate()


def test_one_that_waits_for_its_start_holds_up_nobody(lab: Lab, clbalance: Command) -> None:
    sleeps = clbalance.start("rebalance", "-w", "node1", "--apply", "--jitter", "100h")
    eventually(lambda: is_asleep(sleeps.pid))
    assert clbalance("rebalance", "-w", "node1", "--apply").rc == 0
    assert sleeps.poll() is None
    sleeps.terminate()


def is_asleep(pid: int) -> bool:
    """Whether the process sleeps for a time, as one does that waits for its start."""
    return "nanosleep" in Path(f"/proc/{pid}/wchan").read_text()


def test_what_was_done_is_written_down_with_who_and_why(lab: Lab, clbalance: Command) -> None:
    settings(clbalance, AT_ONCE)
    piled(lab, clbalance, 3, "--requeue")
    assert clbalance("rebalance", "-w", "node[1-2]", "--apply").rc == 0
    (path,) = Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("audit.jsonl")
    (line,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (line["what"], line["src"], line["dst"], line["result"]) == ("move", "node1", "node2", "moved")
    assert line["who"]
    assert line["at"].endswith("+00:00")
    assert line["why"]
    assert line["score_before"] > line["score_after"]
    let_go(clbalance)


def test_cron_has_no_home_no_terminal_and_no_input(lab: Lab, clbalance: Command) -> None:
    settings(clbalance, AT_ONCE)
    jobs = piled(lab, clbalance, 3, "--requeue")
    bare = {key: clbalance.env[key] for key in clbalance.env if key.startswith(("CLBALANCE", "PYTHONPATH", "CLUSTER"))}
    words = [f"{key}={value}" for key, value in bare.items()]
    done = subprocess.run(
        ["env", "-i", *words, "/bin/sh", "-c", 'exec "$@" <&-', "sh", *ARGV, "rebalance", "-w", "node[1-2]", "--apply"],
        capture_output=True,
        cwd=clbalance.folder,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1
    assert nodes_of(clbalance, jobs) == ["node1", "node1", "node2"]
    let_go(clbalance)


def test_where_no_node_answers_it_says_so_and_exits_with_4(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").kill()
    done = clbalance("rebalance", "-w", "node1", "--apply", "-t", "1s", "-u", "1s")
    assert done.rc == 4
    assert "no node has answered" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--apply", "--dry-run"], "`--apply` and `--dry-run`", id="both"),
        pytest.param(["--max-moves", "-1"], "`--max-moves` cannot be -1", id="negative moves"),
        pytest.param(["--min-gain", "nan"], "`--min-gain` cannot be nan", id="no number"),
        pytest.param(["--jitter", "soon"], "`--jitter` cannot be 'soon'", id="no duration"),
    ],
)
def test_what_cannot_be_meant_is_told(clbalance: Command, words: list[str], message: str) -> None:
    done = clbalance("rebalance", "-w", "node1", *words)
    assert done.rc == 2
    assert message in done.stderr


def test_groups_are_leveled_each_for_itself(clbalance: Command) -> None:
    settings(clbalance, AT_ONCE)
    parsed = json.loads(clbalance("rebalance", "-g", "cpu", "-g", "gpu-nodes", "--json").text)
    assert [pool["name"] for pool in parsed["pools"]] == ["cpu", "gpu-nodes"]
