"""One grammar: nodes as words, `-w` for nodes wherever jobs are words, and former spellings for a release."""

import json

import pytest

from clbalance.cli.app import command_for
from tests.cli.command import Command
from tests.cli.held_jobs import detached, held, job, let_go

OF_NODES = ("load", "pick", "drain", "resume", "doctor", "reap", "history", "metrics", "rebalance")
OF_JOBS = ("jobs", "cancel", "logs")


@pytest.mark.parametrize("verb", OF_NODES)
def test_verbs_of_nodes_take_nodes_as_words_and_after_w(verb: str) -> None:
    params = command_for((verb,)).commands[verb].params
    assert [one.metavar for one in params if one.param_type_name == "argument"] == ["[NODES]..."]
    assert {"-w", "--nodes"} <= {option for one in params for option in one.opts}


@pytest.mark.parametrize("verb", OF_JOBS)
def test_verbs_of_jobs_take_nodes_after_w(verb: str) -> None:
    params = command_for((verb,)).commands[verb].params
    (nodes,) = (one for one in params if "-w" in one.opts)
    assert (set(nodes.opts), nodes.multiple) == ({"-w", "--nodes"}, True)


@pytest.mark.parametrize("verb", ["run", *OF_NODES, *OF_JOBS])
def test_what_was_typed_in_one_line_is_not_left_over_in_the_next(verb: str) -> None:
    def typed(*words: str) -> dict[str, object]:
        command = command_for((verb, *words)).commands[verb]
        return dict(command.make_context(verb, list(words), resilient_parsing=True).params)

    nothing = typed()
    options = [one for one in command_for((verb,)).commands[verb].params if one.param_type_name == "option"]
    everything = typed(*(word for one in options for word in (one.opts[0], *([] if one.is_flag else ["1"]))))
    assert [name for name, value in everything.items() if value != nothing[name]]
    assert typed() == nothing


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("node1",), {1}),
        (("node[1-2]", "node4"), {1, 2, 4}),
        (("node1", "-w", "node3"), {1, 3}),
        (("@cpu", "-x", "node1"), {2, 3, 4}),
        (("-g", "cpu", "node5"), {1, 2, 3, 4, 5}),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_words_and_options_add_up(clbalance: Command, words: tuple[str, ...], named: set[int]) -> None:
    known = {f"node{number}" for number in named}
    assert {one["name"] for one in json.loads(clbalance("load", *words, "--json").text)["nodes"]} == known
    picked = json.loads(clbalance("pick", "--pick", "all", "--json", *words).text)
    assert {one["name"] for one in picked["nodes"]} == known


def test_rebalance_counts_the_nodes_that_are_words(clbalance: Command) -> None:
    assert "node[1-2]: " in clbalance("rebalance", "node1", "node2").stderr


def test_jobs_takes_the_former_spelling_with_a_note(clbalance: Command) -> None:
    clbalance("run", "-w", "node1", "--", "true")
    old, new = clbalance("jobs", "--all", "--json"), clbalance("jobs", "--ended", "--json")
    assert (old.stdout, new.stderr) == (new.stdout, "")
    assert old.stderr == "clbalance: `--all` is called `--ended` now; the old spelling goes with a later release\n"
    assert clbalance("jobs", "--all", "-q").stderr == ""


def test_logs_takes_groups_several_sets_and_the_former_spelling(clbalance: Command) -> None:
    clbalance("run", "-w", "node[1-3]", "--pick", "3", "-c", "echo $CLBALANCE_NODEID")
    assert sorted(clbalance("logs", "-w", "node1", "--nodes", "node3").lines) == ["node1: 0", "node3: 2"]
    assert len(clbalance("logs", "-w", "@cpu&node[1-3]").lines) == 3
    old = clbalance("logs", "--node", "node2")
    assert (old.text, "`--node` is called `--nodes` now" in old.stderr) == ("node2: 1\n", True)


def test_cancel_takes_groups(clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "-c", held())
    detached(clbalance, "-w", "node5", "-c", held())
    clbalance("cancel", "-w", "@cpu")
    assert (job(clbalance, "1")["state"], job(clbalance, "2")["state"]) == ("CANCELLED", "RUNNING")
    let_go(clbalance)


def test_words_of_another_kind_are_answered_with_the_option_for_nodes(clbalance: Command) -> None:
    assert "nodes are named with `-w`" in clbalance("jobs", "node1").stderr
    assert "nodes are named with `-w`" in clbalance("replay", "node1").stderr
    assert "all of them is `--all`" in clbalance("cancel", "-a").stderr
