"""`run --send` and `run --return`: a job finds its inputs in its folder, and its results come back."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode
from tests.cli.command import Command, eventually, nothing_left
from tests.cli.held_jobs import SOON, await_file, detached, job, let_go
from tests.cli.migrations import BY_CODE, CHECKPOINT, NODES, finished, move, moved_once, word
from tests.faults.mounts import mounted

HELD = "until [ -e $CLBALANCE_SUBMIT_DIR/go ]; do sleep 0.05; done; "
"""As `held`: the job does not run in the folder of its submission."""


def made(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def work_folders(node: LabNode) -> list[Path]:
    return list(node.folder.var.glob("clbalance-*/jobs/*/work"))


def files_of(clbalance: Command, number: str = "1") -> dict[str, Any]:
    found = job(clbalance, number)["job_files"]
    assert isinstance(found, dict)
    return found


# -- what is sent


def test_files_are_where_the_job_runs_under_the_names_that_were_typed(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, data__x="x", model__deep__w="w", top="t")
    (clbalance.folder / "top").chmod(0o750)
    elsewhere = clbalance.folder.parent / "elsewhere"
    made(elsewhere, y="y", a__b__z="z")
    with nothing_left(lab):
        done = clbalance(
            *("run", "-q", "-w", "node1", "--send", "data/x", "--send", "model", "--send", "top"),
            *("--send", f"{elsewhere}/y", "--send", f"{elsewhere}/a/./b"),
            *(
                "-c",
                'find . -type f | sort; cat data/x model/deep/w; stat -c %a top; [ "$PWD" = "$CLBALANCE_JOB_DIR/work" ]',
            ),
        )
    assert (done.rc, done.text) == (0, "./b/z\n./data/x\n./model/deep/w\n./top\n./y\nxw750\n"), done.stderr
    assert work_folders(lab.node("node1")) == [], "they are removed with the job's other files"


def test_each_copy_of_a_job_gets_all_files(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, x="content")
    done = clbalance("run", "-q", "-w", "node[1-3]", "--pick", "3", "--send", "x", "--", "cat", "x")
    assert (done.rc, sorted(done.text.splitlines())) == (0, [f"node{n}: content" for n in (1, 2, 3)])


def test_a_chdir_that_was_typed_is_where_the_job_runs(clbalance: Command) -> None:
    made(clbalance.folder, x="content")
    done = clbalance(
        "run", "-q", "-w", "node1", "--send", "x", "--chdir", "/", "-c", "pwd; cat $CLBALANCE_JOB_DIR/work/x"
    )
    assert (done.rc, done.text) == (0, "/\ncontent")


@pytest.mark.root
def test_a_node_without_room_for_the_files_is_refused_and_the_next_one_gets_them(lab: Lab, clbalance: Command) -> None:
    (clbalance.folder / "big").write_bytes(bytes(4 << 20))
    lab.node("node2").load(r1m=2.0)
    with nothing_left(lab), mounted(lab, lab.node("node1"), "size=2m"):
        done = clbalance("run", "-w", "node[1-2]", "--send", "big", "-c", "echo $CLBALANCE_NODE; stat -c %s big")
        assert (done.rc, done.text) == (0, "node2\n4194304\n"), done.stderr
        alone = clbalance("run", "-w", "node1", "--send", "big", "--", "true")
    assert alone.rc == 125
    assert "its files: big: no space left on the file system" in alone.stderr


def test_a_file_that_has_changed_since_the_submission_is_sent_with_a_warning(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, x="old")
    full = detached(clbalance, "-w", "node1", "--exclusive", "-c", HELD)
    number = detached(clbalance, "--queue", "-w", "node1", "--send", "x", "--output", "out", "-c", "cat x")
    made(clbalance.folder, x="newer")
    let_go(clbalance)
    assert clbalance("wait", full, number).rc == 0
    assert (clbalance.folder / "out").read_text() == "newer"
    assert "'x' has changed since the submission; it was sent as it is" in clbalance("show", number).text


def test_a_file_that_has_vanished_since_the_submission_is_why_the_job_waits(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, x="content")
    full = detached(clbalance, "-w", "node1", "--exclusive", "-c", HELD)
    number = detached(clbalance, "--queue-for", "1h", "-w", "node1", "--send", "x", "--return", "y", "-c", "cat x > y")
    (clbalance.folder / "x").unlink()
    let_go(clbalance)
    clbalance("wait", full)
    eventually(lambda: "there is no such file or folder" in (job(clbalance, number)["reason"] or ""))
    made(clbalance.folder, x="back")
    assert clbalance("wait", number).rc == 0
    assert (clbalance.folder / "y").read_text() == "back"


def test_a_terminal_shows_how_far_large_files_have_come(lab: Lab, clbalance: Command) -> None:
    with (clbalance.folder / "large").open("wb") as file:
        file.truncate(2 << 30)
    with nothing_left(lab):
        terminal = clbalance.on_terminal("run", "-w", "node1", "--send", "large", "--", "true", columns=120)
        terminal.read_until(b"/s, ETA ")
        assert b"0/1 nodes done, " in terminal.raw
        terminal.type(b"\x03")
        assert terminal.end() == 130
    assert work_folders(lab.node("node1")) == []


# -- what is returned


def test_what_matches_comes_back_also_of_a_job_that_fails(lab: Lab, clbalance: Command) -> None:
    text = "mkdir -p out/deep; echo 1 > out/a.csv; echo 2 > out/b.txt; echo 3 > out/deep/c; ln -s /etc/passwd out/l.csv; exit 3"
    with nothing_left(lab):
        done = clbalance("run", "-w", "node1", "--return", "out/*.csv", "--return", "out/deep", "-c", text)
    assert done.rc == 3
    found = sorted(str(path.relative_to(clbalance.folder)) for path in clbalance.folder.rglob("*") if path.is_file())
    assert found == ["out/a.csv", "out/deep/c"]
    assert "2 files (4 B) of job 1 from node1" in done.stderr
    assert "out/l.csv: left out: it is a link" in done.stderr
    assert work_folders(lab.node("node1")) == []


def test_results_of_several_copies_have_the_names_of_their_nodes(clbalance: Command) -> None:
    text = "mkdir d; echo $CLBALANCE_NODE | tee r > d/f"
    assert clbalance("run", "-w", "node[1-2]", "--pick", "2", "--return", "r", "--return", "d", "-c", text).rc == 0
    found = {name: (clbalance.folder / name).read_text() for name in ("r.node1", "r.node2", "d.node1/f", "d.node2/f")}
    assert found == {"r.node1": "node1\n", "r.node2": "node2\n", "d.node1/f": "node1\n", "d.node2/f": "node2\n"}


def test_return_to_is_made_and_its_placeholders_keep_jobs_apart(clbalance: Command) -> None:
    for number in ("1", "2"):
        assert (
            clbalance("run", "-w", "node1", "--return", "r", "--return-to", "res/%j", "-c", f"echo {number} > r").rc
            == 0
        )
    assert [(clbalance.folder / f"res/{n}/r").read_text() for n in (1, 2)] == ["1\n", "2\n"]


def test_a_pattern_that_matches_nothing_is_told(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--return", "no*", "--", "true")
    assert done.rc == 0
    assert "0 files (0 B) of job 1 from node1" in done.stderr
    assert "nothing matches 'no*'" in done.stderr


def test_results_that_cannot_be_written_are_no_success_and_are_not_lost(clbalance: Command) -> None:
    into = clbalance.folder / "into"
    text = f"echo result > r; rmdir {into}; touch {into}"
    into.mkdir()
    done = clbalance("run", "-w", "node1", "--return", "r", "--return-to", "into", "-c", text)
    assert done.rc == 125
    assert "the results of job 1 are still on node1" in done.stderr
    assert "results still on node1" in clbalance("jobs", "1").text
    into.unlink()
    assert clbalance("wait", "1").rc == 0
    assert (into / "r").read_text() == "result\n"


# -- detached


def test_a_controller_sends_and_returns(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, x="in")
    with nothing_left(lab):
        number = detached(clbalance, "-w", "node1", "--send", "x", "--return", "y", "-c", f"{HELD} cp x y")
        eventually(lambda: job(clbalance, number)["state"] == "RUNNING")
        assert files_of(clbalance)["returns"][0]["state"] == "pending"
        let_go(clbalance)
        assert await_file(clbalance.folder / "y") == "in"
        eventually(lambda: files_of(clbalance)["returned"])
    shown = clbalance("show", number).text
    assert "sends               x (1 file, 2B)" in shown
    assert "returned            from node1: 1 file, 2B" in shown
    eventually(lambda: not work_folders(lab.node("node1")))


def test_a_cancelled_job_leaves_what_it_had_written(clbalance: Command) -> None:
    number = detached(
        clbalance, "-w", "node1", "--return", "r", "-c", f"echo half > r; touch $CLBALANCE_SUBMIT_DIR/up; {HELD}"
    )
    eventually((clbalance.folder / "up").exists)
    assert clbalance("cancel", number).rc == 0
    assert await_file(clbalance.folder / "r") == "half\n"


def test_a_requeued_job_gets_its_files_again_and_its_results_come_again(lab: Lab, clbalance: Command) -> None:
    made(clbalance.folder, x="1")
    with nothing_left(lab):
        assert clbalance("run", "-w", "node1", "--send", "x", "--return", "y", "-c", "cp x y; exit 3").rc == 3
        made(clbalance.folder, x="22")
        assert clbalance("requeue", "1").rc == 3
    assert (clbalance.folder / "y").read_text() == "22"
    assert work_folders(lab.node("node1")) == []


def test_without_a_cluster_files_travel_as_well(alone: Command) -> None:
    made(alone.folder, x="1")
    done = alone("run", "--send", "x", "--return", "y", "-c", '[ "$PWD" != "$CLBALANCE_SUBMIT_DIR" ] && cp x y')
    assert done.rc == 0, done.stderr
    assert (alone.folder / "y").read_text() == "1"


POINTS = ["sending", "sent", "returning", "returned", "return-recorded"]


@pytest.mark.parametrize("point", POINTS)
def test_whoever_dies_the_job_runs_once_with_all_files_and_all_results_come(
    lab: Lab, clbalance: Command, point: str
) -> None:
    made(clbalance.folder, a="a" * 100_000, b="b")
    text = "cat a b > r; echo x >> $CLBALANCE_SUBMIT_DIR/diary"
    options = ("--send", "a", "--send", "b", "--return", "r", "-w", "node[1-2]", "-c", text)
    with nothing_left(lab):
        clbalance("run", "--detach", *options, env={"CLBALANCE_FAIL_AT": point})
        eventually(lambda: job(clbalance, "1", *SOON)["reason"] != "looking for nodes")
        done = clbalance("wait", "1")
    assert done.rc == 0, done.stderr
    assert (clbalance.folder / "diary").read_text() == "x\n"
    assert (clbalance.folder / "r").read_text() == "a" * 100_000 + "b"
    assert files_of(clbalance)["returned"] is True
    assert not [path for path in clbalance.folder.iterdir() if path.name.startswith(".clbalance")]


@pytest.mark.parametrize("point", ["returning", "returned"])
def test_a_run_that_dies_leaves_its_results_to_whoever_looks_next(lab: Lab, clbalance: Command, point: str) -> None:
    done = clbalance("run", "-w", "node1", "--return", "r", "-c", "echo r > r", env={"CLBALANCE_FAIL_AT": point})
    assert done.rc == -signal.SIGKILL
    assert "1 file (2 B) of job 1 from node1" in clbalance("jobs").stderr or (clbalance.folder / "r").exists()
    assert (clbalance.folder / "r").read_text() == "r\n"
    assert files_of(clbalance)["returned"] is True


def test_results_on_a_node_that_was_booted_come_when_it_is_back(lab: Lab, clbalance: Command) -> None:
    number = detached(
        clbalance,
        "-w",
        "node1",
        "--return",
        "r",
        "-c",
        f"echo result > r; sync; touch $CLBALANCE_SUBMIT_DIR/up; {HELD}",
    )
    eventually((clbalance.folder / "up").exists)
    lab.node("node1").kill()
    lab.node("node1").boot()
    assert clbalance("wait", number).rc == 125
    assert await_file(clbalance.folder / "r") == "result\n"


def test_reap_leaves_results_that_were_not_returned_and_says_so(lab: Lab, clbalance: Command) -> None:
    into = clbalance.folder / "into"
    into.mkdir()
    clbalance(
        "run", "-w", "node1", "--return", "r", "--return-to", "into", "-c", f"echo r > r; rmdir {into}; touch {into}"
    )
    reaped = clbalance("reap", "-w", "node1", "--keep", "1s", "--apply")
    assert reaped.rc == 0
    assert "the files of job 1 are kept: its results are not returned yet" in reaped.stderr
    elsewhere = {"CLBALANCE_STATE_DIR": str(clbalance.folder / "other-host")}
    assert clbalance("reap", "-w", "node1", "--keep", "1s", "--apply", env=elsewhere).rc == 0, (
        "and so does another host"
    )
    assert work_folders(lab.node("node1")) != []
    into.unlink()
    clbalance("wait", "1")
    assert (into / "r").read_text() == "r\n"


# -- bad input

BAD = {
    "a file that is not there": (("--send", "no"), "`--send no`: '{here}/no': there is no such file or folder"),
    "a folder with a link out of it": (("--send", "l"), "it is a link that leads out of"),
    "a FIFO": (("--send", "fifo"), "it is a FIFO"),
    "the folder itself": (("--send", "."), "`--send .`: it names no file below a folder"),
    "two files of one name": (("--send", "d/x", "--send", "../d/x/../../d"), "would arrive under one name: 'd'"),
    "an absolute pattern": (("--return", "/etc/*"), "it is absolute, and only files of the job's work folder"),
    "a pattern that leaves the folder": (("--return", "../*"), "it leaves the job's work folder"),
    "an empty pattern": (("--return", ""), "`--return `: it is empty"),
    "a place without results": (("--return-to", "d"), "`--return-to` without `--return`"),
    "a place that is a file": (("--return", "r", "--return-to", "d/x"), "is no folder"),
    "an unknown placeholder": (("--return", "r", "--return-to", "%q"), "`%q` in '%q' is not known"),
    "a checkpoint": (("--send", "d", "--checkpoint", "USR1"), "`--send` with `--checkpoint` needs `--chdir`"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_refused_before_there_is_a_number(
    clbalance: Command, options: tuple[str, ...], message: str
) -> None:
    made(clbalance.folder, d__x="x")
    made(clbalance.folder.parent, d__x="y")
    made(clbalance.folder, l__x="x")
    (clbalance.folder / "l/out").symlink_to("/etc/passwd")
    os.mkfifo(clbalance.folder / "fifo")
    done = clbalance("run", "-w", "node1", *options, "--", "true")
    assert done.rc == 2
    assert message.format(here=clbalance.folder) in done.stderr
    assert json.loads(clbalance("jobs", "--ended", "--json").text)["jobs"] == []


def test_options_in_the_script_count_too(clbalance: Command) -> None:
    made(clbalance.folder, x="in")
    (clbalance.folder / "job.sh").write_text("#!/bin/sh\n#CLB --send x --return y\ncp x y\n")
    assert clbalance("run", "-w", "node1", "job.sh").rc == 0
    assert (clbalance.folder / "y").read_text() == "in"


def test_a_result_that_grows_without_end_holds_nobody(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "--return", "r", "-c", f"ln -s /dev/zero r; mkfifo f; {HELD}")
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0
    assert os.listdir(clbalance.folder) == ["go"]


@pytest.mark.parametrize("controller", ["terminal", "keeper"])
def test_a_job_that_moves_gets_its_files_again_and_returns_those_of_its_last_node(
    lab: Lab, clbalance: Command, controller: str
) -> None:
    made(clbalance.folder, x="in")
    work = "cd $CLBALANCE_JOB_DIR/work; cat x >> $CLBALANCE_SUBMIT_DIR/seen; echo $CLBALANCE_NODE > r; cd $OLDPWD;"
    options = (*NODES, *CHECKPOINT, "--send", "x", "--return", "r", "--chdir", ".", "-c", f"{work} {BY_CODE}")
    with nothing_left(lab):
        if controller == "terminal":
            child = clbalance.start("run", *options)
        else:
            detached(clbalance, *options)
        asked, src, dst = word(clbalance)
        assert move(clbalance, asked) == [["Migrated", dst]]
        moved_once(clbalance, src, dst)
        let_go(clbalance)
        if controller == "terminal":
            assert finished(child)[0] == 7
        assert clbalance("wait", "1").rc == 7
    assert (clbalance.folder / "seen").read_text() == "inin"
    assert await_file(clbalance.folder / "r") == f"{dst}\n"
    assert files_of(clbalance)["returned"] is True
