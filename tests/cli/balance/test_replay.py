"""`replay` as it is typed: files, policies, lists, seeds; what is wrong with a file; what this host remembers."""

import gzip
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Command, send
from tests.waiting import eventually

NODES = "name,cpus,mem_bytes,gpus,gpu_model,gpu_mem_bytes\nn1,4,1024,2,T4,16\nn2,8,1024,0,,\n"
JOBS = """job,submit_s,duration_s,cpus,mem_bytes,gpus,gpu_share,gpu_model
a,0,,1,10,1,500,
b,1,,1,10,1,250,T4|A100
c,2,,1,10,2,,
d,3,,8,10,0,,
e,4,,1,10,1,,A100
"""
KTH = Path(__file__).parents[2] / "traces" / "data" / "kth-sp2-first-jobs.swf"


@pytest.fixture
def files(folder: Path) -> tuple[str, str]:
    (folder / "nodes.csv").write_text(NODES)
    (folder / "jobs.csv").write_text(JOBS)
    return "jobs.csv", "nodes.csv"


def replayed(done: object) -> list[dict[str, object]]:
    assert done.rc == 0, done.stderr  # type: ignore[attr-defined]
    document = json.loads(done.stdout)  # type: ignore[attr-defined]
    assert document["schema"] == 1
    return list(document["policies"])


def test_policies_are_compared_on_one_trace(alone: Command, files: tuple[str, str]) -> None:
    rows = replayed(alone("replay", *files, "--policy", "fgd", "--policy", "spread", "--policy", "fgd", "--json"))
    assert [row["policy"] for row in rows] == ["fgd", "spread"]
    assert [(row["placed"], row["refused"]) for row in rows] == [(3, 2), (3, 2)]
    assert {row["gpu_allocated_pct"] for row in rows} == {37.5}
    assert rows[0]["gpu_allocated_at_first_refusal_pct"] == 37.5
    assert rows[0]["bounded_slowdown_mean"] is None


def test_people_get_a_table_and_loops_get_lines(alone: Command, files: tuple[str, str]) -> None:
    table = alone("replay", *reversed(files))
    assert table.lines[0].split() == ["POLICY", "PLACED", "REFUSED", "GPU%", "CPU%", "GPU%@REFUSAL", "MAX/MEAN"]
    assert table.lines[1].split()[:4] == ["least", "3", "2", "37.50"]
    plain = alone("replay", *files, "--format", "plain").lines[0].split("\t")
    assert (plain[:3], plain[-2:]) == (["least", "3", "2"], ["-", "1"])
    assert table.stderr == ""


def test_a_log_of_the_archive_brings_its_own_cluster(alone: Command, folder: Path) -> None:
    (folder / "log.swf.gz").write_bytes(gzip.compress(KTH.read_bytes()))
    done = alone("replay", "log.swf.gz", "--queue", "easy", "--json")
    (row,) = replayed(done)
    assert (row["placed"], row["queue"]) == (43, "easy")
    assert done.stderr.splitlines() == [
        "clbalance: 3 jobs cut to the time that was asked for",
        "clbalance: 2 jobs without a run time left out",
    ]
    assert alone("replay", "log.swf.gz", "-q").stderr == ""


@pytest.mark.parametrize("name", ["log.swf", "log.gz", "log"])
@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_a_log_is_recognised_by_its_content(
    alone: Command, folder: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    (folder / name).write_bytes(pack(KTH.read_bytes()))
    assert replayed(alone("replay", name, "--queue", "easy", "--json"))[0]["placed"] == 43


def test_jobs_larger_than_the_machine_are_refused_and_counted(alone: Command, folder: Path) -> None:
    swf = "1 0 0 5 1 -1 -1 {} 9 -1 1 1 1 -1 -1 -1 -1 -1\n"
    (folder / "log").write_text("; MaxProcs: 9,216\n" + swf.format(9217) + swf.format(9216))
    done = alone("replay", "log", "--queue", "easy", "--json")
    (row,) = replayed(done)
    assert (row["placed"], row["refused"]) == (1, 1)
    assert done.stderr == "clbalance: 1 job larger than the machine, of 9216 processors, refused\n"


def test_a_packed_file_of_nodes_is_read(alone: Command, files: tuple[str, str], folder: Path) -> None:
    (folder / "nodes.csv").write_bytes(gzip.compress(NODES.encode()))
    assert replayed(alone("replay", *files, "--json"))[0]["placed"] == 3


def test_a_log_may_run_on_other_nodes_whose_cpus_its_processors_share(alone: Command, folder: Path) -> None:
    (folder / "nodes.csv").write_text(NODES.replace("n1,4", "n1,92"))
    (row,) = replayed(alone("replay", str(KTH), "nodes.csv", "--queue", "fcfs", "--json"))
    assert (row["placed"], row["refused"]) == (43, 0)


def test_the_same_seeds_give_the_same_and_others_differ(alone: Command, files: tuple[str, str]) -> None:
    once = alone("replay", *files, "--policy", "random", "--repeat", "4", "--seed", "7", "--json").stdout
    assert once == alone("replay", *files, "--policy", "random", "--repeat", "4", "--seed", "7", "--json").stdout
    (row,) = json.loads(once)["policies"]
    assert row["repeats"] == 4
    assert set(row["spread"]) == set(row) - {"policy", "queue", "repeats", "spread"}
    (alone_row,) = replayed(alone("replay", *files, "--policy", "random", "--seed", "7", "--json"))
    assert alone_row["spread"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jobs.csv", "--policy", "best"), "unknown policy 'best'"),
        (("jobs.csv", "--queue", "lifo"), "unknown queue 'lifo'"),
        (("jobs.csv", "--repeat", "0"), "`--repeat` is less than 1"),
        (("jobs.csv", "jobs.csv"), "several files of jobs"),
        (("nodes.csv", "nodes.csv"), "several files of nodes"),
        (("nodes.csv",), "there is no job to replay"),
        (("bad.csv", "nodes.csv"), "bad.csv:3: submit_s is 'soon'"),
        (("what.txt",), "what.txt:1: neither a heading of jobs nor of nodes"),
        (("empty.csv",), "empty.csv:1: neither a heading of jobs nor of nodes"),
        (("plain.swf",), "the log does not give the number of processors"),
        (("plain.swf.gz",), "the log does not give the number of processors"),
        (("packed",), "packed:1: neither a heading of jobs nor of nodes"),
        (("cut.swf.gz",), "cut.swf.gz: Compressed file ended before"),
    ],
)
def test_what_cannot_be_replayed_is_told(
    alone: Command, files: tuple[str, str], folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    swf = "1 0 0 5 1 -1 -1 1 9 -1 1 1 1 -1 -1 -1 -1 -1\n"
    (folder / "bad.csv").write_text(JOBS.splitlines(keepends=True)[0] + "a,0,,1,1,0,,\nb,soon,,1,1,0,,\n")
    (folder / "what.txt").write_text("hello\n")
    (folder / "empty.csv").write_text("")
    (folder / "plain.swf").write_text(swf)
    (folder / "plain.swf.gz").write_text(swf)
    (folder / "packed").write_bytes(gzip.compress(b"hello\n"))
    (folder / "cut.swf.gz").write_bytes(gzip.compress(KTH.read_bytes())[:-20])
    done = alone("replay", *arguments)
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr
    assert "hint: " in done.stderr


def test_a_file_that_is_not_there_is_told(alone: Command) -> None:
    done = alone("replay", "missing.csv")
    hint = "hint: a file of jobs or of nodes; nodes are named with `-w`\n"
    assert (done.rc, done.stderr) == (1, f"clbalance: missing.csv: No such file or directory\n{hint}")


def test_what_this_host_remembers_is_replayed_on_the_nodes_there_are(clbalance: Command) -> None:
    for _ in range(2):
        assert clbalance("run", "-q", "--cpus", "1", "--", "true").rc == 0
    assert clbalance("run", "-q", "--cpus", "999", "--", "true").rc == 125
    done = clbalance("replay", "--policy", "least", "--policy", "rr", "--json")
    rows = replayed(done)
    assert [(row["policy"], row["placed"], row["refused"]) for row in rows] == [("least", 2, 0), ("rr", 2, 0)]


def test_progress_is_told_on_a_terminal_and_nowhere_else(alone: Command, folder: Path) -> None:
    header, *lines = JOBS.splitlines()
    (folder / "many.csv").write_text("\n".join([header, *lines * 4000]) + "\n")
    (folder / "nodes.csv").write_text(NODES)
    arguments = ("replay", "many.csv", "nodes.csv", "--policy", "fgd", "--policy", "p2c")
    terminal = alone.on_terminal(*arguments, "--repeat", "20")
    terminal.read_until(b"/800000 arrivals, ")
    assert terminal.end() == 0
    assert terminal.lines[0].split()[0] == "POLICY"
    assert alone(*arguments).stderr == ""


def test_whoever_is_stopped_leaves_no_process_behind(alone: Command, folder: Path) -> None:
    header, *lines = JOBS.splitlines()
    (folder / "many.csv").write_text("\n".join([header, *lines * 100_000]) + "\n")
    (folder / "nodes.csv").write_text(NODES)
    running = alone.start("replay", "many.csv", "nodes.csv", "--policy", "fgd", "--policy", "p2c")
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    eventually(lambda: len(children.read_text().split()) == 2, 60.0)
    pids = children.read_text().split()
    send(running, signal.SIGTERM)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
