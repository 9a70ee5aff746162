"""Programs that use the library, on a lab: the examples, and what ends early."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, eventually, nothing_left

from .conftest import Program

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def written(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(text)
    return path


def leases(command: Command) -> list[object]:
    nodes = json.loads(command("load", "-a", "--json").stdout)["nodes"]
    return [lease for node in nodes for lease in node["leases"]]


def states(command: Command) -> list[str]:
    return [job["state"] for job in json.loads(command("jobs", "--ended", "--json").stdout)["jobs"]]


def test_a_program_sees_the_load_and_picks_the_best_nodes(program: Program, lab: Lab) -> None:
    lab.node("node1").load(r1m=3.0)
    done = program(EXAMPLES / "library" / "look.py", "node[1-3]")
    assert (done.returncode, done.stderr) == (0, "")
    *nodes, best = done.stdout.splitlines()
    assert {line.split(":")[0] for line in nodes} == {"node1", "node2", "node3"}
    assert nodes[-1].startswith("node1: up, 3.0 in the run queue, ")
    assert best == "best for two jobs of 2 cpus: node[2-3]"


def test_a_job_of_a_program_is_one_of_its_users_jobs(program: Program, clbalance: Command) -> None:
    done = program(EXAMPLES / "library" / "jobs.py", "node[1-3]")
    assert (done.returncode, done.stderr) == (0, "")
    where, end, *mapped = done.stdout.splitlines()
    node = where.rpartition(" ")[2]
    assert where == f"job 1 runs on {node}"
    assert end == f"COMPLETED 0 working on {node}"
    assert mapped == ["Linux 0", "42 0"]
    jobs = json.loads(clbalance("jobs", "--ended", "--json").stdout)["jobs"]
    assert [(job["name"], job["state"]) for job in jobs] == [("greeting", "COMPLETED"), ("map", "COMPLETED")]


def test_functions_run_on_nodes_and_their_results_come_back(program: Program, clbalance: Command) -> None:
    done = program(EXAMPLES / "library" / "sweep.py", "node[1-3]")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rate 0.9: 0.250" in done.stdout
    assert done.stdout.endswith("best: 0.4\n")
    (job,) = json.loads(clbalance("jobs", "--ended", "--json").stdout)["jobs"]
    assert (job["name"], job["state"]) == ("sweep", "COMPLETED")


def test_what_cannot_be_done_is_an_exception_with_a_hint_and_nothing_is_printed(
    program: Program, clbalance: Command
) -> None:
    done = program(
        written(
            clbalance.folder,
            """
import clbalance
from clbalance.errors import ClbalanceError

cluster = clbalance.Cluster("node[1-3]")
for attempt in (
    lambda: cluster.pick(4),
    lambda: cluster.submit("true", mem="100T"),
    lambda: next(clbalance.Executor(cluster, gpus=64).map(["true"], [""])),
    lambda: next(cluster.map([["no-such-program"]])).check(),
    lambda: clbalance.Executor(cluster, time_limit=0.2).submit(["sleep", "1000"]).result(),
    lambda: cluster.job(99).status(),
    lambda: cluster.pick(mem="much"),
    lambda: clbalance.Cluster("node[1-"),
):
    try:
        print("no error:", attempt())
    except ClbalanceError as error:
        print(type(error).__name__, "|", error, "|", getattr(error, "state", ""), "|", bool(error.hint))
""",
        )
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = [line.split(" | ") for line in done.stdout.splitlines()]
    assert [(kind, state, hint) for kind, _, state, hint in shown] == [
        ("NothingFitsError", "", "True"),
        ("NothingFitsError", "", "True"),
        ("NothingFitsError", "", "True"),
        ("TaskFailedError", "FAILED", "False"),
        ("TaskFailedError", "TIMEOUT", "False"),
        ("UsageError", "", "True"),
        ("UsageError", "", "True"),
        ("NodeNameError", "", "True"),
    ]
    assert "3/3 nodes fit" in shown[0][1]
    assert "exit code 127" in shown[3][1]
    assert "time limit of 0.2 s reached" in shown[4][1]


_ENDS_EARLY = """
import pathlib, sys, time, clbalance

cluster = clbalance.Cluster("node[1-3]")
{way}
"""
_WAIT = """
def wait_for(*names):
    while not all(pathlib.Path(name).exists() for name in names):
        time.sleep(0.02)
"""


def test_what_a_program_ends_is_ended_on_the_nodes(program: Program, clbalance: Command, lab: Lab) -> None:
    text = (
        _WAIT
        + """
job = cluster.submit("touch job; sleep 1000")
executor = clbalance.Executor(cluster, max_workers=2)
futures = [executor.submit(["sh", "-c", f"touch task{number}; sleep 1000"]) for number in range(6)]
wait_for("job", "task0", "task1")
job.cancel()
print(job.wait().state, job.status().returncode)
print([future.running() for future in futures[:2]], futures[5].cancel(), futures[0].cancel())
executor.terminate_workers()
print([future.done() for future in futures], futures[2].cancelled(), type(futures[0].exception()).__name__)
try:
    executor.submit(["true"])
except RuntimeError as error:
    print(error)
"""
    )
    with nothing_left(lab):
        done = program(written(clbalance.folder, _ENDS_EARLY.format(way=text)))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "CANCELLED 125",
            "[True, True] True False",
            "[True, True, True, True, True, True] True TaskFailedError",
            "cannot schedule new futures after shutdown",
        ]
    eventually(lambda: leases(clbalance) == [])


def test_ctrl_c_in_a_with_block_ends_what_runs_on_nodes(clbalance: Command, lab: Lab) -> None:
    text = """
with clbalance.Executor(cluster) as executor:
    list(executor.map(["sh", "-c", "touch task$0; sleep 1000"], "123"))
"""
    path = written(clbalance.folder, _ENDS_EARLY.format(way=text))
    with nothing_left(lab):
        child = subprocess.Popen(
            [sys.executable, str(path)],
            env=dict(clbalance.env),
            cwd=clbalance.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            eventually(lambda: all((clbalance.folder / f"task{number}").exists() for number in "123"))
            child.send_signal(signal.SIGINT)
            said = child.communicate(timeout=120)[1]
        finally:
            ended(child)  # type: ignore[arg-type]  # it ends both kinds
        assert said.rstrip().endswith("KeyboardInterrupt")
    eventually(lambda: states(clbalance) == ["CANCELLED"])


def test_the_interpreter_waits_for_what_was_submitted(program: Program, clbalance: Command) -> None:
    text = """
future = clbalance.Executor(cluster).submit(["sh", "-c", "sleep 0.2; touch done"])
future.add_done_callback(lambda future: print(future.result().returncode))
"""
    done = program(written(clbalance.folder, _ENDS_EARLY.format(way=text)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    assert (clbalance.folder / "done").exists()


def test_without_a_cluster_this_machine_does_it(alone: Command, folder: Path) -> None:
    text = """
import clbalance

cluster = clbalance.Cluster()
(load,) = cluster.load().values()
print(load.name == cluster.nodes[0], load.mem_total_bytes > 0)
print([done.text for done in cluster.map(["echo one", "echo two"])])
"""
    done = subprocess.run(
        [sys.executable, str(written(folder, text))],
        env=dict(alone.env), cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "True True\n['one\\n', 'two\\n']\n"
