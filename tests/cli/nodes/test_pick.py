"""`clbalance pick` on a cluster: a node set for another command's argument, or why there is none."""

import json

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.waiting import eventually


def test_the_folded_set_stands_alone_on_stdout(lab: Lab, clbalance: Command) -> None:
    for number in (1, 4, 5, 6, 7, 8):
        lab.node(f"node{number}").load(r1m=2.0)
    done = clbalance("pick", "-a", "--pick", "2")
    assert (done.rc, done.stdout, done.stderr) == (0, b"node[2-3]\n", "")
    assert clbalance("pick", "-w", "node[1,3,4]").stdout == b"node3\n"


def test_three_are_the_three_least_loaded(lab: Lab, clbalance: Command) -> None:
    for number in range(1, 9):
        lab.node(f"node{number}").load(r1m=number * 0.4)
    # More than once: whatever happens to run on a node while it is asked counts, too.
    assert eventually(lambda: clbalance("pick", "--pick", "3").stdout == b"node[1-3]\n")
    in_group = ("pick", "-g", "gpu-nodes", "--pick", "2", "--format", "plain")
    assert eventually(lambda: clbalance(*in_group).stdout == b"node[5-6]\n")


def test_all_means_every_node_that_fits(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=9.0)
    lab.node("node3").kill()
    assert clbalance("pick", "-g", "rack1", "--pick", "all").stdout == b"node[1,4]\n"


def test_too_few_is_exit_3_with_the_reasons_counted_and_nothing_on_stdout(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    lab.node("node2").load(r1m=9.0)
    lab.node("node3").kill()
    done = clbalance("pick", "-g", "rack1", "-x", "node4", "--pick", "2")
    assert (done.rc, done.stdout) == (3, b"")
    first = done.stderr.splitlines()[0]
    assert first == "clbalance: 0/4 nodes fit, 2 wanted: 2 load above 1.00, 1 connection refused, 1 excluded"
    assert "hint: " in done.stderr
    failed = clbalance("pick", "-w", "node1", "--json")
    assert failed.rc == 3
    assert json.loads(failed.stdout)["error"]["exit_code"] == 3


def test_explain_says_why_each_node_or_why_not(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    lab.node("node2").kill()
    done = clbalance("pick", "-w", "node[1-4]", "-x", "node4", "--explain")
    assert (done.rc, done.stdout) == (0, b"node3\n")
    parsed = {line.split()[0]: line for line in done.stderr.splitlines()}
    assert "chosen" in parsed["node3"]
    assert "load is 2.25 per cpu" in parsed["node1"]
    assert "refused" in parsed["node2"]
    assert "excluded" in parsed["node4"]


def test_json_has_scores_terms_and_reasons(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    document = json.loads(clbalance("pick", "-w", "node[1-3]", "--pick", "2", "--json").stdout)
    assert (document["schema"], document["node_set"], document["wanted"]) == (1, "node[2-3]", 2)
    assert {node["name"] for node in document["nodes"]} == {"node2", "node3"}
    assert document["unfit"][0]["name"] == "node1"
    assert all(term["told"] for term in document["ranked"][0]["terms"])


def test_equals_are_drawn_so_that_many_callers_spread(clbalance: Command) -> None:
    first = clbalance("pick", "-a").stdout
    eventually(lambda: clbalance("pick", "-a").stdout != first)


def test_a_full_disk_of_ours_does_not_hide_the_cluster(clbalance: Command) -> None:
    done = clbalance("pick", "-w", "node1", env={"CLBALANCE_STATE_DIR": "/proc/nowhere"})
    assert (done.rc, done.stdout) == (0, b"node1\n")
    assert "continuing without the state database" in done.stderr


def test_a_policy_of_another_name_chooses_otherwise(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=1.5)
    assert clbalance("pick", "-w", "node[1-2]").text == "node1\n"
    assert clbalance("pick", "-w", "node[1-2]", "--policy", "pack").text == "node2\n"
    wrong = clbalance("pick", "-w", "node1", "--policy", "lest")
    assert (wrong.rc, wrong.stdout) == (2, b"")
    assert "one of least, spread, pack" in wrong.stderr


def test_where_fewer_fit_than_are_wanted_none_is_called_chosen(clbalance: Command) -> None:
    for form in ("human", "plain"):
        done = clbalance("pick", "-w", "node[1-3]", "--pick", "4", "--explain", "--format", form)
        assert (done.rc, done.stdout) == (3, b"")
        assert "chosen" not in done.stderr
        assert done.stderr.count("fits") == 3
