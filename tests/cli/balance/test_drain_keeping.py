"""`drain --min-available` on a cluster: whoever drains at the same time, or dies half-way, enough nodes are left."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done
from tests.faults.soak import trials

WHY = ("--reason", "upgrade")


def drained(clbalance: Command) -> dict[str, str]:
    """The nodes that take no work, and why."""
    parsed = json.loads(clbalance("load", "-a", "--json").text)["nodes"]
    return {one["name"]: one["reason"] for one in parsed if one["state"] in {"draining", "drained"}}


def names(*numbers: int) -> dict[str, str]:
    return dict.fromkeys((f"node{number}" for number in numbers), "upgrade (by root)")


def test_nodes_are_drained_where_enough_are_left(clbalance: Command) -> None:
    done = clbalance("drain", "node[1-2]", *WHY, "--min-available", "6")
    assert (done.rc, done.stderr.splitlines()) == (
        0,
        ["clbalance: 6 of 8 nodes remain available, at least 6 required", "clbalance: drained node[1-2]"],
    )
    assert drained(clbalance) == names(1, 2)
    (mark,) = json.loads(clbalance("load", "-w", "node1", "--json").text)["nodes"][0]["drains"]
    assert (mark["proposed"], mark["until"]) == (False, None)


def test_where_too_few_would_be_left_nothing_changes_and_it_says_what_is_not_there(
    lab: Lab, clbalance: Command
) -> None:
    assert clbalance("drain", "node1", "--reason", "before").rc == 0
    lab.node("node8").kill()
    refused = clbalance("drain", "node[1-3]", *WHY, "--min-available", "70%")
    assert refused.rc == 3
    message, hint = refused.stderr.splitlines()
    assert message.startswith(
        "clbalance: not drained: 4 of 8 nodes would remain available, at least 6 required; not available: node8 (unknown: "
    )
    assert hint.startswith("hint: ")
    assert drained(clbalance) == {"node1": "before (by root)"}
    assert len(json.loads(clbalance("load", "-w", "node1", "--json").text)["nodes"][0]["drains"]) == 1


def test_a_node_that_was_drained_before_takes_nothing_away(clbalance: Command) -> None:
    assert clbalance("drain", "node[4-5]", "--reason", "before").rc == 0
    again = clbalance("drain", "node4", *WHY, "--min-available", "7")
    left = "6 of 8 nodes remain available, at least 7 required; these nodes were drained already"
    assert (again.rc, again.stderr.splitlines()) == (0, [f"clbalance: {left}", "clbalance: drained node4"])
    assert drained(clbalance) == names(4) | {"node5": "before (by root)"}
    assert clbalance("drain", "node[4,6]", *WHY, "--min-available", "7").rc == 3


def test_groups_say_where_to_count_and_no_named_node_drains_its_group(lab: Lab, clbalance: Command) -> None:
    everywhere = len(clbalance("load", "-a").lines) - 1
    counted = len(clbalance("load", "-g", "gpu-nodes").lines) - 1
    assert counted < everywhere
    done = clbalance("drain", "node8", *WHY, "-g", "gpu-nodes", "--min-available", "1")
    assert (done.rc, f"of {counted} nodes remain available" in done.stderr) == (0, True)
    assert list(drained(clbalance)) == ["node8"]
    refused = clbalance("drain", *WHY, "-g", "gpu-nodes", "--min-available", "50%")
    assert (refused.rc, "not drained: 0 of" in refused.stderr) == (3, True)


def test_if_one_cannot_be_marked_none_is(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").kill()
    done = clbalance("drain", "node[1-3]", *WHY, "--min-available", "2")
    assert done.rc == 4
    assert "not drained: not all nodes could be marked" in done.stderr
    assert "may be drained" not in done.stderr
    assert "node2: " in done.stderr
    assert drained(clbalance) == {}


def test_who_dies_before_it_was_agreed_leaves_proposals_that_count_and_end(clbalance: Command) -> None:
    died = clbalance("drain", "node[1-2]", *WHY, "--min-available", "6", env={"CLBALANCE_FAIL_AT": "proposed"})
    assert died.rc == -9
    assert drained(clbalance) == dict.fromkeys(("node1", "node2"), "proposed: upgrade (by root)")
    assert clbalance("run", "-w", "node1", "--", "true").rc == 125
    refused = clbalance("drain", "node3", *WHY, "--min-available", "6")
    assert (refused.rc, "node[1-2] (proposed before)" in refused.stderr) == (3, True)
    (mark,) = json.loads(clbalance("load", "-w", "node1", "--json").text)["nodes"][0]["drains"]
    assert (mark["proposed"], mark["until"] is not None) == (True, True)
    assert clbalance("drain", "node3", *WHY, "--min-available", "5").rc == 0


def test_who_dies_after_that_has_drained_all_of_them(clbalance: Command) -> None:
    clbalance("drain", "node1", "--reason", "before")
    died = clbalance("drain", "node[1-2]", *WHY, "--min-available", "6", env={"CLBALANCE_FAIL_AT": "made_firm"})
    assert died.rc == -9
    assert set(drained(clbalance)) == {"node1", "node2"}
    assert clbalance("resume", "node[1-2]").rc == 0
    assert drained(clbalance) == {}


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("--min-available", "few"), "`--min-available` cannot be 'few'", "a number of nodes"),
        (("--min-available", "101%"), "`--min-available` cannot be '101%'", "80%"),
        (("--min-available", "-1"), "`--min-available` cannot be '-1'", ""),
        (("--min-available", "9"), "`--min-available` cannot be 9: there are 8 nodes", "-g"),
        (("--min-available", "1", "-g", "nowhere"), "nowhere", "cpu"),
        (("--for", "2h", "--until", "18:00"), "`--for` and `--until` exclude each other", "`--until 18:00`"),
        (("--until", "2020-01-01"), "`--until` cannot be '2020-01-01' (that has passed: it is 20", "18:00"),
        (("--force",), "`--force` needs `--deadline`", "--deadline 2h"),
        (("--deadline", "soon"), "`--deadline` cannot be 'soon'", "like `90`"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_cannot_be_meant_proposes_nothing(
    clbalance: Command, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    done = clbalance("drain", "node1", *WHY, *arguments)
    said, _, hinted = done.stderr.partition("\nhint: ")
    assert (done.rc, message in said, hint in hinted) == (2, True, True), done.stderr
    assert drained(clbalance) == {}


@pytest.mark.soak
def test_drains_at_the_same_time_never_leave_too_few_and_never_all_give_way(clbalance: Command) -> None:
    rng = random.Random(5)
    for trial in range(trials(1, 100)):
        sets = [sorted(rng.sample(range(1, 9), rng.randint(1, 3))) for _ in range(3)]
        min_available = 8 - max(len(one) for one in sets) - rng.randint(0, 1)

        def drain(numbers: list[int], min_available: int = min_available) -> Done:
            where = ",".join(f"node{number}" for number in numbers)
            return clbalance("drain", where, *WHY, "--min-available", str(min_available), "-t", "20s", "-u", "20s")

        with ThreadPoolExecutor(len(sets)) as pool:
            ends = list(pool.map(drain, sets))
        assert {done.rc for done in ends} <= {0, 3}, ends
        out = {number for numbers, done in zip(sets, ends, strict=True) if done.rc == 0 for number in numbers}
        assert drained(clbalance) == names(*out), (trial, ends)
        assert 8 - len(out) >= min_available, (trial, ends)
        assert out, (trial, ends)
        assert clbalance("resume", "-a").rc == 0
