"""`run --send` and `--return` with `--tasks` and `--array`: each task finds its inputs, and its results come apart."""

import json
from pathlib import Path
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode
from tests.cli.command import Command, eventually, nothing_left
from tests.cli.held_jobs import LATER, SOON, detached, job, let_go
from tests.faults.mounts import mounted

TOGETHER = """
touch "$CLBALANCE_SUBMIT_DIR/begun-$CLBALANCE_TASK_ID"
until [ -e "$CLBALANCE_SUBMIT_DIR/begun-1" ] && [ -e "$CLBALANCE_SUBMIT_DIR/begun-2" ]; do sleep 0.05; done
"""
"""Tasks 1 and 2 run at the same time, on two slots."""


def made(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def results(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def job_folders(node: LabNode, name: str) -> list[Path]:
    return list(node.folder.var.glob(f"clbalance-*/jobs/*/{name}"))


def tasks_of(clbalance: Command, number: str = "1") -> dict[int, dict[str, Any]]:
    found = json.loads(clbalance("jobs", number, "--tasks", "--json").text)["tasks"]
    return {one["task"]: one for one in found}


def test_each_task_finds_what_all_share_and_what_is_its_own(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, data__x="shared ", in_1="one", in_2="two", in_3="three")
    text = "ls > list; cat data/x in-$CLBALANCE_TASK_ID > out-$CLBALANCE_TASK_ID"
    with nothing_left(lab):
        done = clbalance(
            *("run", "-q", "-w", "node[1-3]", "--array", "1-3", "--send", "data", "--send", "in-%t"),
            *("--return", "out-%t", "--return", "list", "--return-to", "res", "-c", text),
        )
    assert (done.rc, done.text) == (0, ""), done.stderr
    assert results(clbalance.folder / "res") == {
        **{f"out-{n}.{n}": f"shared {word}" for n, word in ((1, "one"), (2, "two"), (3, "three"))},
        **{f"list.{n}": f"data\nin-{n}\nlist\n" for n in (1, 2, 3)},
    }
    assert [folder for node in lab.nodes for folder in job_folders(node, "work")] == [], "nothing stays on the nodes"


def test_what_all_tasks_share_is_sent_once_to_a_node_with_several_slots(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, data="shared")
    text = f"{TOGETHER} readlink data > where; cat data > out-$CLBALANCE_TASK_ID; ls $CLBALANCE_INPUT_DIR"
    with nothing_left(lab):
        done = clbalance(
            *("run", "-q", "-w", "node1", "--array", "1-2", "--send", "data"),
            *("--return", "out-%t", "--return", "where", "--return-to", "res/%t", "-c", text),
        )
    assert (done.rc, sorted(done.lines)) == (0, ["1: data", "2: data"]), done.stderr
    found = results(clbalance.folder / "res")
    assert [found["1/out-1"], found["2/out-2"]] == ["shared", "shared"]
    assert found["1/where"] == found["2/where"], "both slots of the node read one copy"


def test_results_of_one_name_are_kept_apart_by_the_number_of_the_task(clbalance: Command) -> None:
    made(clbalance.folder, list="echo a > r\nmkdir d; echo b > d/f; exit 3\n")
    done = clbalance("run", "-w", "node[1-2]", "--tasks", "list", "--return", "*", "--return-to", "res")
    assert done.rc == 3
    assert results(clbalance.folder / "res") == {"r.1": "a\n", "d.2/f": "b\n"}, "also those of a task that failed"


def test_names_with_the_number_stay_as_they_are(clbalance: Command) -> None:
    text = "mkdir out; echo $CLBALANCE_TASK_ID > out/$CLBALANCE_TASK_ID.csv; echo other > out/other.csv"
    done = clbalance("run", "-w", "node[1-2]", "--array", "1-12", "--return", "out/%t.*", "-c", text)
    assert done.rc == 0, done.stderr
    assert results(clbalance.folder) == {f"out/{n}.csv": f"{n}\n" for n in range(1, 13)}


def test_a_pattern_that_matches_nothing_is_told_with_its_task(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--array", "7", "--return", "no-%t", "--", "true")
    assert done.rc == 0
    assert "nothing matches 'no-7' in task 7" in done.stderr


def test_a_task_that_is_tried_again_elsewhere_returns_the_results_of_its_last_try(clbalance: Command) -> None:
    made(clbalance.folder, x="in")
    text = "cat x > r; echo $CLBALANCE_NODE >> r; mkdir $CLBALANCE_SUBMIT_DIR/once && exit 1; true"
    done = clbalance(
        *("run", "-q", "-w", "node[1-2]", "--array", "1", "--retry", "1", "--send", "x", "--return", "r", "-c", text)
    )
    assert done.rc == 0, done.stderr
    assert results(clbalance.folder)["r.1"] == f"in{tasks_of(clbalance)[1]['node']}\n"


def test_a_typed_folder_is_where_tasks_run(clbalance: Command) -> None:
    made(clbalance.folder, x="in")
    text = "pwd; cd $CLBALANCE_JOB_DIR/work/$CLBALANCE_TASK_ID; cat x > r"
    done = clbalance(
        *("run", "-w", "node1", "--array", "1", "--send", "x", "--return", "r", "--chdir", "/", "-c", text)
    )
    assert (done.rc, done.text) == (0, "1: /\n"), done.stderr
    assert results(clbalance.folder)["r.1"] == "in"


def test_a_file_that_has_vanished_fails_its_task_alone(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, in_1="1", in_2="2", in_3="3")
    full = detached(clbalance, "-w", "node1", "--exclusive", "-c", "until [ -e go ]; do sleep 0.05; done")
    number = detached(
        clbalance,
        *("--queue-for", "1h", "-w", "node1", "--array", "1-3", "--send", "in-%t", "--return", "out-%t"),
        *("-c", "cp in-$CLBALANCE_TASK_ID out-$CLBALANCE_TASK_ID"),
    )
    (clbalance.folder / "in-2").unlink()
    let_go(clbalance)
    assert clbalance("wait", full).rc == 0
    assert clbalance("wait", number).rc == 125
    tasks = tasks_of(clbalance, number)
    assert {n: one["state"] for n, one in tasks.items()} == {1: "COMPLETED", 2: "FAILED", 3: "COMPLETED"}
    assert "there is no such file or folder" in tasks[2]["reason"]
    assert results(clbalance.folder)["out-3"] == "3"


@pytest.mark.root
@pytest.mark.parametrize("name", ["big", "big-%t"])
def test_a_node_without_room_for_the_files_gets_no_tasks(lab: Lab, clbalance: Command, name: str) -> None:
    for file in ("big", "big-1", "big-2"):
        (clbalance.folder / file).write_bytes(bytes(4 << 20))
    options = ("--array", "1-2", "--send", name, "-c", "stat -Lc %s big*; echo $CLBALANCE_NODE")
    with nothing_left(lab), mounted(lab, lab.node("node1"), "size=2m"):
        done = clbalance("run", "-w", "node[1-2]", *options)
        assert (done.rc, sorted(done.lines)) == (0, [f"{n}: {word}" for n in (1, 2) for word in ("4194304", "node2")])
        alone = clbalance("run", *LATER, "-w", "node1", *options)
    assert alone.rc == 125
    assert "no space left on the file system" in alone.stderr


POINTS = ["given", "sending", "sent", "returning", "returned", "return-recorded"]


@pytest.mark.parametrize("point", POINTS)
def test_whoever_dies_each_task_runs_once_with_all_files_and_all_results_come(
    lab: Lab, clbalance: Command, point: str
) -> None:
    made(clbalance.folder, x="shared ", in_1="one", in_2="two", in_3="three")
    text = "cat x in-$CLBALANCE_TASK_ID > out-$CLBALANCE_TASK_ID; echo . >> $CLBALANCE_SUBMIT_DIR/diary"
    options = ("-w", "node[1-2]", "--array", "1-3", "--send", "x", "--send", "in-%t", "--return", "out-%t", "-c", text)
    with nothing_left(lab):
        clbalance("run", "--detach", *options, env={"CLBALANCE_FAIL_AT": point})
        eventually(lambda: job(clbalance, "1", *SOON)["reason"] != "looking for nodes")
        done = clbalance("wait", "1")
    assert done.rc == 0, done.stderr
    found = results(clbalance.folder)
    assert found["diary"] == ".\n.\n.\n"
    assert [found[f"out-{n}"] for n in (1, 2, 3)] == ["shared one", "shared two", "shared three"]
    assert job(clbalance, "1")["job_files"]["returned"] is True


def test_reap_leaves_the_results_of_tasks_that_were_not_returned(lab: Lab, clbalance: Command) -> None:
    into = clbalance.folder / "into"
    into.mkdir()
    text = f"echo r > r; rmdir {into}; touch {into}"
    done = clbalance("run", "-w", "node1", "--array", "1", "--return", "r", "--return-to", "into", "-c", text)
    assert done.rc == 125
    assert "the results of job 1 are still on node1" in done.stderr
    reaped = clbalance("reap", "-w", "node1", "--keep", "1s", "--apply")
    assert "the files of job 1 are kept: its results are not returned yet" in reaped.stderr
    into.unlink()
    assert clbalance("wait", "1").rc == 0
    assert (into / "r.1").read_text() == "r\n"


BAD = {
    "names of two tasks that may meet": (("--return", "out-%t*"), "two tasks could return one name"),
    "another placeholder": (("--send", "in-%a"), "'%a' is not known: `%t` is the task, `%%` a per cent sign"),
    "another placeholder of a result": (("--return", "r%n"), "'%n' is not known"),
    "a file of one task that is not there": (("--send", "in-%t"), "in-2': there is no such file or folder"),
    "one folder for both": (("--send", "d/x", "--send", "d/in-%t"), "'d' would be shared by all tasks"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_refused_before_there_is_a_number(
    clbalance: Command, options: tuple[str, ...], message: str
) -> None:
    made(clbalance.folder, in_1="1", d__x="x", d__in_1="1", d__in_2="2")
    done = clbalance("run", "-w", "node1", "--array", "1-2", *options, "--", "true")
    assert done.rc == 2
    assert message in done.stderr
    assert json.loads(clbalance("jobs", "--ended", "--json").text)["jobs"] == []
