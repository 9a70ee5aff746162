"""Selectors stand for the nodes that are so now; where none is, that is told."""

import random
from dataclasses import replace

import pytest

from clbalance.errors import NodeNameError
from clbalance.model import Answer, Snapshot
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.shell.selectors import in_long_form, replaced, selected, selectors_in
from tests.policy.build import NOW, drain, gpu, lease, node, silent

POLICY = replace(LEAST, thresholds=Thresholds())
ANSWERS: tuple[Answer, ...] = (
    node("idle1"),
    node("idle2", gpus=(gpu(),)),
    node("works", r1m=2.0),
    node("leased", leases=(lease(cpus=1.0),)),
    node("hot", r1m=40.0),
    node("out", drains=(drain(),)),
    silent("gone"),
    replace(node("odd"), suspect="3 probes in a row failed"),
)


def chosen(selector: str) -> list[str]:
    snapshot = Snapshot(taken_at=NOW, answers=ANSWERS)
    return list(selected(selector, snapshot, POLICY, random.Random(1)))


@pytest.mark.parametrize(
    ("selector", "nodes"),
    [
        ("idle", ["idle1", "idle2"]),
        ("busy", ["hot"]),
        ("drained", ["out"]),
        ("suspect", ["odd"]),
        ("gpu-idle", ["idle2"]),
    ],
)
def test_a_selector_stands_for_the_nodes_that_are_so(selector: str, nodes: list[str]) -> None:
    assert chosen(selector) == nodes


def test_the_best_are_so_many_of_those_that_fit_least_loaded_first() -> None:
    assert set(chosen("best-2")) <= {"idle1", "idle2", "leased"}
    assert chosen("best-3") == [*chosen("best-2"), *chosen("best-3")[2:]]
    assert not {"hot", "out", "gone", "odd"} & set(chosen("best-4"))


@pytest.mark.parametrize("selector", ["best-0", "best-99"])
def test_more_than_there_are_is_told(selector: str) -> None:
    with pytest.raises(NodeNameError, match="nodes fit"):
        chosen(selector)


def test_none_is_told() -> None:
    with pytest.raises(NodeNameError, match="no node is idle now"):
        selected("idle", Snapshot(taken_at=NOW, answers=ANSWERS[4:]), POLICY, random.Random(1))


@pytest.mark.parametrize(
    ("typed", "long"),
    [
        ("@idle", "@clb:idle"),
        ("node1,@best:4!@gpu", "node1,@clb:best-4!@gpu"),
        ("@failed&@ok", "@clb:failed&@clb:ok"),
        ("@clb:idle", "@clb:idle"),
        ("@idle2", "@idle2"),
        ("@idle-nodes", "@idle-nodes"),
        ("@idle:x", "@idle:x"),
        ("@site:idle", "@site:idle"),
        ("@drained", "@drained"),
        ("idle", "idle"),
    ],
)
def test_short_forms_are_for_names_that_are_no_group(typed: str, long: str) -> None:
    assert in_long_form(typed, lambda name: name == "drained") == long


def test_only_selectors_are_replaced() -> None:
    text = "@clb:idle!@clb:best-2,@clb:failed,@clb:idle-1,@gpu"
    assert selectors_in(text) == {"idle", "best-2"}
    assert replaced(text, lambda name: f"<{name}>") == "<idle>!<best-2>,@clb:failed,@clb:idle-1,@gpu"
