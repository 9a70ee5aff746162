"""`jobs`: what was it, when was it, and which of them; in columns that people choose."""

import json

import pytest

from tests.cli.command import Command
from tests.cli.held_jobs import detached, held, let_go
from tests.waiting import eventually


def test_times_command_and_resources_are_told(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--name", "over", "--cpus", "2", "--mem", "1G", "--", "echo", "a b")
    (job,) = json.loads(clbalance("jobs", "1", "--json").text)["jobs"]
    assert job["command"] == "echo 'a b'"
    assert job["request"] == {"cpus": 2.0, "mem_bytes": 1 << 30, "gpus": 0, "gpu_share": 1.0}
    assert job["submitted_at"] <= job["started_at"] <= job["ended_at"]
    assert job["max_rss_bytes"] > 0
    assert job["cpu_s"] >= 0
    header, line = clbalance("jobs", "--all").lines
    assert header.split() == [
        *("JOB", "NAME", "STATE", "CODE", "SUBMITTED", "STARTED", "ENDED", "TIME", "CPUS", "MEM", "NODES", "COMMAND"),
    ]
    assert line.endswith("  2  1.0G  node1  echo 'a b'")


def test_a_narrow_terminal_shows_a_line_a_job_with_the_command(clbalance: Command) -> None:
    for name in ("one", "two"):
        clbalance("run", "-q", "-w", "node1", "--name", name, "--mem", "1G", "-c", f"echo {name}; true {'x' * 60}")
    terminal = clbalance.on_terminal("jobs", "--ended", columns=80)
    assert terminal.end() == 0
    header, *jobs, left_out = terminal.lines
    assert header.endswith("COMMAND")
    assert [line.split()[1] for line in jobs] == ["one", "two"]
    assert all("echo" in line and line.endswith("...") for line in jobs)
    assert "columns more at" in left_out
    assert left_out.endswith(" CPUS MEM")


def test_columns_are_chosen_by_name_for_people_and_loops(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--name", "a", "-c", "exit 3")
    done = clbalance("jobs", "--all", "--columns", "job,CODE,command")
    assert [line.split(maxsplit=2) for line in done.lines] == [["JOB", "CODE", "COMMAND"], ["1", "3", "exit 3"]]
    done = clbalance("jobs", "--all", "--columns", "name,state,mem", "--format", "plain")
    assert done.text == "a\tFAILED\t-\n"
    done = clbalance("jobs", "--columns", "job,naem")
    assert done.rc == 2
    assert done.stderr.startswith("clbalance: `--columns`: unknown column 'naem'\nhint: one of job, name, user, ")
    assert clbalance("jobs", "--long", "--columns", "job").rc == 2
    assert "ATTEMPT" in clbalance("jobs", "--all", "--long").lines[0].split()


def test_jobs_are_chosen_by_state_name_and_time_and_ordered(clbalance: Command) -> None:
    for name, code in (("train-1", 0), ("train-2", 3), ("eval", 4)):
        clbalance("run", "-q", "-w", "node1", "--name", name, "-c", f"exit {code}")
    detached(clbalance, "-w", "node1", "--name", "runs", "-c", held())
    eventually(lambda: chosen(clbalance, "--state", "running") == ["runs"])
    assert chosen(clbalance) == ["runs"]
    assert chosen(clbalance, "--state", "failed") == ["train-2", "eval"]
    assert chosen(clbalance, "--state", "Failed,completed", "--name", "train*") == ["train-1", "train-2"]
    assert chosen(clbalance, "--since", "1h") == ["train-1", "train-2", "eval", "runs"]
    assert chosen(clbalance, "--since", "2026-01-01", "--name", "eval", "--name", "runs") == ["eval", "runs"]
    assert chosen(clbalance, "--since", "now") == ["runs"]
    assert chosen(clbalance, "--all", "--order", "-code,name") == ["eval", "train-2", "train-1", "runs"]
    assert chosen(clbalance, "--all", "--order", "-job", "--columns", "job") == ["runs", "eval", "train-2", "train-1"]
    let_go(clbalance)


def chosen(clbalance: Command, *options: str) -> list[str]:
    """The names of the jobs that are shown, in order."""
    return [job["name"] for job in json.loads(clbalance("jobs", *options, "--json").text)["jobs"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--state", "done"), "unknown state 'done'\nhint: one of CANCELLED, COMPLETED, FAILED,"),
        (("--since", "soon"), "`--since` cannot be 'soon'\nhint: like `2h` (ago)"),
        (("--order", "-started,size"), "`--order`: unknown column 'size'\nhint: one of job, name,"),
        (("--owner", "somebody"), "`--owner` needs `--all-users`"),
        (("--columns", ""), "`--columns`: unknown column ''\nhint: one of job,"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_wrong_choice_is_answered_with_what_can_be_meant(
    alone: Command, options: tuple[str, ...], message: str
) -> None:
    done = alone("jobs", *options)
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr


def test_the_owner_chooses_among_everybodys(clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "--name", "mine", "-c", held())
    elsewhere = {"CLBALANCE_STATE_DIR": str(clbalance.folder / "another-host")}
    (found,) = json.loads(clbalance("jobs", "--all-users", "-w", "node1", "--json", env=elsewhere).text)["jobs"]
    assert found["request"]["cpus"] == 1.0
    options = ("--all-users", "-w", "node1", "--json")
    assert len(json.loads(clbalance("jobs", *options, "--owner", found["user"], env=elsewhere).text)["jobs"]) == 1
    assert json.loads(clbalance("jobs", *options, "--owner", "somebody", env=elsewhere).text)["jobs"] == []
    let_go(clbalance)
