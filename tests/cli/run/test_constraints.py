"""Wishes on a cluster: expressions, labels, taints, and the jobs beside."""

import json
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.gpu_devices import parse_gpu_load
from tests.cli.command import Command
from tests.waiting import eventually

LABELS = """
[[nodes]]
set = "node[1-4]"
labels = { rack = "r1", disk = "hdd" }
[[nodes]]
set = "node[5-8]"
labels = { rack = "r2" }
[[nodes]]
set = "node[4-5]"
taints = ["maintenance"]
"""


@pytest.fixture
def labelled(clbalance: Command, folder: Path) -> Command:
    """The lab of two racks, of which two nodes are tainted."""
    (folder / "clbalance.toml").write_text(LABELS)
    return clbalance


def test_where_takes_only_nodes_of_which_it_holds(lab: Lab, labelled: Command) -> None:
    lab.node("node6").load(gpus=(parse_gpu_load("0:0%:30G"), parse_gpu_load("1:0%:30G")))
    done = labelled("pick", "--pick", "all", "--where", 'gpu_model ~ "A100|H100" and gmem > 20G and driver >= 535')
    assert (done.rc, done.stdout) == (0, b"node[7-8]\n"), done
    assert labelled("pick", "--pick", "all", "--where", "rack = r1 and not disk != hdd").stdout == b"node[1-3]\n"


def test_why_nothing_fits_names_the_condition(labelled: Command) -> None:
    done = labelled("pick", "--where", 'gpu_model ~ "H100"')
    assert done.rc == 3
    first = done.stderr.splitlines()[0]
    assert first == 'clbalance: 0/8 nodes fit: 6 not meeting --where gpu_model ~ "H100", 2 tainted maintenance'


def test_an_index_that_is_not_known_is_no_reason_to_fit(labelled: Command) -> None:
    for where in ("ut < 99", "not (ut < 99)"):
        done = labelled("pick", "-w", "node1", "--where", where, "--json", env={"CLBALANCE_STATE_DIR": "/proc/nowhere"})
        assert done.rc == 3, done
        assert "ut unknown" in json.loads(done.stdout)["error"]["message"]


def test_order_ranks_by_the_expression(lab: Lab, labelled: Command) -> None:
    for number in range(1, 9):
        lab.node(f"node{number}").load(r1m=number * 0.3)
    assert labelled("pick", "-w", "node[1-3]", "--order", "-r1m").stdout == b"node3\n"
    message = labelled("pick", "-w", "node[1-3]", "--order", "-r1m", "--explain").stderr
    assert "order 100.0x1 (-r1m = -0.9)" in message


def test_taints_keep_off_who_does_not_tolerate_them(labelled: Command) -> None:
    assert labelled("pick", "--pick", "all").stdout == b"node[1-3,6-8]\n"
    assert labelled("pick", "--pick", "all", "--tolerate", "maintenance").stdout == b"node[1-8]\n"
    shown = json.loads(labelled("load", "-w", "node[4,6]", "--json").stdout)["nodes"]
    by_name = {node["name"]: node for node in shown}
    assert (by_name["node4"]["taints"], by_name["node4"]["state"]) == (["maintenance"], "up")
    assert by_name["node4"]["reason"] == "tainted maintenance"
    assert by_name["node4"]["labels"] == {"disk": "hdd", "rack": "r1"}
    assert (by_name["node6"]["taints"], by_name["node6"]["labels"]) == ([], {"rack": "r2"})


def test_prefer_adds_a_term(labelled: Command) -> None:
    done = labelled("pick", "--prefer", "rack=r2:9", "--pick", "3", "--explain")
    assert done.stdout == b"node[6-8]\n"
    assert "prefer rack=r2 100.0x9 (rack is r2)" in done.stderr


def test_same_keeps_all_copies_together(lab: Lab, labelled: Command) -> None:
    lab.node("node1").load(r1m=5.0)
    done = labelled("pick", "--pick", "3", "--same", "rack", "--explain")
    assert done.stdout == b"node[6-8]\n"
    assert "rack is not r2: rack is r1" in done.stderr
    none = labelled("pick", "--pick", "4", "--same", "rack")
    assert none.rc == 3
    assert "3/8 nodes fit, 4 wanted" in none.stderr


def test_near_and_apart_look_at_the_jobs_that_are_there(labelled: Command) -> None:
    assert labelled("run", "--detach", "-w", "node2", "--name", "db", "--", "sleep", "600").rc == 0
    assert labelled("pick", "--pick", "all", "--near", "db").stdout == b"node2\n"
    assert labelled("pick", "--pick", "all", "--apart", "db").stdout == b"node[1,3,6-8]\n"
    beside = labelled("run", "--near", "db", "--name", "client", "-c", "echo $CLBALANCE_NODE")
    assert beside.stdout == b"node2\n"
    assert "0/1 nodes fit: 1 running job db" in labelled("pick", "-w", "node2", "--apart", "db").stderr
    labelled("cancel", "db")
    eventually(lambda: labelled("pick", "-w", "node2", "--near", "db").rc == 3)


def test_a_job_apart_from_itself_never_has_two_slots_on_a_node(labelled: Command) -> None:
    asked = ("run", "-w", "node[1-3]", "--name", "one", "--apart", "one", "--array", "0-8")
    alone = "mkdir $CLBALANCE_NODE.taken && sleep 0.2 && rmdir $CLBALANCE_NODE.taken"
    done = labelled(*asked, "-c", alone)
    assert done.rc == 0, done
    assert "9 tasks on 3 slots of node[1-3]" in done.stderr


def test_run_gets_only_devices_that_were_wished_for(labelled: Command) -> None:
    done = labelled("run", "--gpus", "1", "--where", "gpu_index = 1", "-w", "node6", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert done.rc == 0, done.stderr
    assert done.stdout.endswith(b"000001\n")
    too_many = labelled("run", "--gpus", "2", "--where", "gpu_index = 1", "-w", "node6", "--", "true")
    assert too_many.rc == 125
    assert "1 too few GPUs free" in too_many.stderr


def test_a_job_that_is_started_again_has_its_wishes(labelled: Command, lab: Lab) -> None:
    wishes = ("--where", "rack = r2", "--prefer", "disk=hdd", "--tolerate", "maintenance", "--same", "rack")
    assert labelled("run", *wishes, "-c", "echo $CLBALANCE_NODE").rc == 0
    again = labelled("requeue", "last")
    assert again.rc == 0, again.stderr
    assert again.stdout.decode().strip() in {"node5", "node6", "node7", "node8"}


def test_load_shows_the_nodes_of_which_it_holds_and_counts_the_others(lab: Lab, labelled: Command) -> None:
    lab.node("node2").load(r1m=2.0)
    lab.node("node3").kill()
    done = labelled("load", "--where", "rack = r1 and r1m > 1", "--json")
    assert [node["name"] for node in json.loads(done.stdout)["nodes"]] == ["node2"]
    assert "1/8 nodes shown: " in done.stderr
    assert "4 not meeting --where rack = r1" in done.stderr
    assert "1 down" in done.stderr
    assert labelled("load", "--where", "cpus = 4", "-w", "node1").stderr == ""


def test_load_sorts_by_the_expression_also_what_takes_no_work(lab: Lab, labelled: Command) -> None:
    for number, r1m in ((1, 0.5), (2, 9.0), (3, 1.0)):
        lab.node(f"node{number}").load(r1m=r1m)
    lab.node("node4").kill()
    done = labelled("load", "-w", "node[1-4]", "--order", "-r1m", "--format", "plain")
    assert [line.split("\t")[0] for line in done.lines if line.startswith("node")][-4:] == [
        "node2",
        "node3",
        "node1",
        "node4",
    ]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("--where", "mem >"), "expected a name such as `mem`", ""),
        (("--where", "rak = r1"), "unknown name `rak`", "did you mean `rack`?"),
        (("--order", "mem:gumt"), "unknown name `gumt`", "did you mean `gut`?"),
        (("--prefer", "rack"), "`--prefer` cannot be 'rack'", "LABEL=VALUE"),
        (("--prefer", "rack=r1:0"), "`--prefer` cannot be 'rack=r1:0'", "LABEL=VALUE:WEIGHT"),
        (("--prefer", "rak=r1"), "`--prefer`: no node has a label `rak`", "did you mean `rack`?"),
        (("--same", "shelf"), "`--same`: no node has a label `shelf`", "there are `disk`, `rack`"),
        (("--near", ""), "`--near` names no job", "as `clbalance jobs` shows it"),
        (("--order", "r1m", "--prefer", "rack=r1"), "`--prefer` has no effect with `--order`", "one of them"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_cannot_be_wished_for_is_told_before_any_node_is_asked(
    labelled: Command, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    done = labelled("pick", *arguments)
    assert (done.rc, done.stdout) == (2, b""), done
    assert message in done.stderr
    assert hint in done.stderr


def test_the_place_of_a_mistake_is_marked(labelled: Command) -> None:
    done = labelled("run", "--where", "mem > 20G andd r1m < 1", "--", "true")
    assert done.rc == 2
    assert done.stderr.splitlines()[1:3] == ["  mem > 20G andd r1m < 1", "            ^"]
    assert labelled("load", "--where", "zzzz = 1").rc == 2


def test_a_value_may_have_colons_and_only_a_number_is_a_weight(labelled: Command) -> None:
    message = labelled("pick", "-w", "node1", "--prefer", "rack=a:b", "--prefer", "rack=c:d:2.5", "--explain").stderr
    assert "prefer rack=a:b 0.0x4" in message
    assert "prefer rack=c:d 0.0x2.5" in message


def test_without_labels_it_is_told_how_to_give_them(clbalance: Command) -> None:
    done = clbalance("pick", "--prefer", "rack=r1")
    assert done.rc == 2
    assert 'labels = { rack = "r1" }' in done.stderr


def test_a_label_cannot_be_called_as_a_fact_is(clbalance: Command, folder: Path) -> None:
    (folder / "clbalance.toml").write_text('[[nodes]]\nset = "node1"\nlabels = { gpu_model = "x" }\n')
    done = clbalance("load")
    assert done.rc == 2
    assert "the label `gpu_model` of `node1` is a word of `--where`" in done.stderr


def test_tasks_cannot_be_kept_together(labelled: Command) -> None:
    done = labelled("run", "--same", "rack", "--array", "0-3", "--", "true")
    assert done.rc == 2
    assert "`--same` does not go with tasks" in done.stderr


def test_tasks_go_only_where_it_holds(labelled: Command) -> None:
    done = labelled("run", "--where", "rack = r2 and gpus > 0", "--array", "0-3", "-c", "echo $CLBALANCE_NODE")
    assert done.rc == 0, done.stderr
    assert {line.split()[-1] for line in done.lines} <= {"node6", "node7", "node8"}
    none = labelled("run", "--where", "rack = r3", "--array", "0-3", "--", "true")
    assert none.rc == 125
    assert "not meeting --where rack = r3" in none.stderr


def test_a_script_says_what_it_wishes_for(labelled: Command, folder: Path) -> None:
    (folder / "job.sh").write_text(
        "#!/bin/sh\n#CLB --where 'rack = r2 and cuda >= 12.2' --tolerate maintenance\necho $CLBALANCE_NODE\n"
    )
    done = labelled("run", "--where", "rack = r2 and gpu_model ~ A100 and node != node5", "job.sh")
    assert done.rc == 0, done.stderr
    assert done.stdout in {b"node6\n", b"node7\n", b"node8\n"}
    assert labelled("run", "-w", "node5", "job.sh").stdout == b"node5\n"
