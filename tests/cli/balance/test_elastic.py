"""What `elastic-scale` reads, refuses and remembers (docs/design/elastic.md)."""

import json
from pathlib import Path
from typing import Any

import pytest

from clbalance.cli.balance.elastic import Memory, lines_of, read_call, read_node
from clbalance.errors import LockedError, StoreError, UsageError
from clbalance.model.elastic import ElasticAction, ElasticNode, ElasticPast, ElasticPlan, Mark, NodeDecision, NodePast
from tests.cli.command import Command

GIVEN = {
    "CLBALANCE_PLAY": "elastic-scale",
    "CLBALANCE_PLAY_NODES": "node2,node1",
    "VAR_provider": "/bin/true",
    "VAR_waiting": "3",
    "VAR_floor": "1",
    "VAR_ceiling": "all",
    "VAR_busy": "0.9",
    "VAR_calm": "0.7",
    "VAR_idle_load": "0.5",
    "VAR_idle": "15m",
    "VAR_start_after": "2m",
    "VAR_settle": "5m",
    "VAR_boot": "10m",
    "VAR_retry": "1h",
    "VAR_actions": "10",
    "VAR_window": "1h",
}
ROW: dict[str, Any] = {
    "name": "node1",
    "state": "up",
    "cause": None,
    "leases": [],
    "gpus": [],
    "ls": 0,
    "r1m": 0.2,
    "r1m_per_cpu": 0.05,
    "drains": [],
}


def mark(reason: str, *, proposed: bool = False) -> dict[str, object]:
    return {"reason": reason, "proposed": proposed}


def test_the_limits_are_those_of_the_variables_and_all_means_every_node() -> None:
    call = read_call(GIVEN)
    assert (call.nodes, call.waiting, call.dry_run) == (("node2", "node1"), 3, False)
    assert (call.limits.floor, call.limits.ceiling, call.limits.idle_s) == (1, 2, 900.0)
    assert read_call({**GIVEN, "CLBALANCE_DRY_RUN": "1"}).dry_run


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VAR_floor", "-1", "`floor` cannot be '-1'"),
        ("VAR_ceiling", "1.5", "`ceiling` cannot be '1.5'"),
        ("VAR_waiting", "", "`waiting` cannot be ''"),
        ("VAR_busy", "0", "`busy` cannot be '0'"),
        ("VAR_busy", "nan", "`busy` cannot be 'nan'"),
        ("VAR_idle", "soon", "`idle` cannot be 'soon'"),
        ("VAR_calm", "0.9", "`calm` must be below `busy`"),
        ("VAR_floor", "3", "`floor` is above `ceiling`"),
        ("VAR_provider", "no/such/program", "`provider` cannot be"),
        ("CLBALANCE_PLAY_NODES", "", "no nodes given"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_name_of_its_variable(name: str, value: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_call({**GIVEN, name: value})
    assert raised.value.message.startswith(said)


def test_a_floor_above_the_number_of_nodes_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        read_call({**GIVEN, "VAR_floor": "3", "VAR_ceiling": "5"})
    assert raised.value.message == "`floor` is above the number of nodes"


@pytest.mark.parametrize(
    ("changed", "node"),
    [
        ({}, ElasticNode(node="node1", uses=0, r1m=0.2, load=0.05)),
        ({"state": "down", "cause": "hung"}, ElasticNode(node="node1", is_up=False)),
        ({"leases": [{}, {}], "ls": 1}, ElasticNode(node="node1", uses=3, r1m=0.2, load=0.05)),
        ({"gpus": [{"state": "free"}, {"state": "busy"}]}, ElasticNode(node="node1", uses=1, r1m=0.2, load=0.05)),
        ({"leases": None}, ElasticNode(node="node1", uses=None, r1m=0.2, load=0.05)),
        ({"gpus": None, "ls": None}, ElasticNode(node="node1", uses=None, r1m=0.2, load=0.05)),
    ],
    ids=["idle", "silent", "leases and logins", "a GPU that is not free", "leases unknown", "GPUs unknown"],
)
def test_a_node_is_read_as_load_shows_it(changed: dict[str, Any], node: ElasticNode) -> None:
    assert read_node({**ROW, **changed}, "elastic-scale") == node


@pytest.mark.parametrize(
    ("state", "drains", "found"),
    [
        ("busy", [], Mark.NONE),
        ("up", [mark("kernel")], Mark.NONE),
        ("drained", [mark("play elastic-scale run 3: idle")], Mark.OURS),
        ("drained", [mark("play elastic-scale run 3")], Mark.OURS),
        ("drained", [mark("play elastic-scale run 3 failed: stop: exit code 1")], Mark.FAILED),
        ("drained", [mark("play elastic-gpu run 3: idle")], Mark.OTHER),
        ("drained", [mark("kernel")], Mark.OTHER),
        ("draining", [mark("play elastic-scale run 3: idle"), mark("kernel")], Mark.OTHER),
        ("draining", [mark("play elastic-scale run 3: idle", proposed=True)], Mark.OTHER),
        ("drained", None, Mark.OTHER),
        ("suspect", [], Mark.OTHER),
    ],
)
def test_whose_mark_it_is_says_its_reason(state: str, drains: Any, found: Mark) -> None:
    assert read_node({**ROW, "state": state, "drains": drains}, "elastic-scale").mark is found


def test_what_is_written_is_read_again_and_only_one_call_decides_at_a_time(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "a pool/é")
    assert memory.read() == ElasticPast()
    past = ElasticPast(wanted_since=1.5, starts=(1.0,), nodes={"node1": NodePast(idle_since=2.0, told=True)})
    with memory.locked():
        memory.write(past)
        with pytest.raises(LockedError), Memory(tmp_path, "a pool/é").locked():
            pass
    assert memory.read() == past
    with memory.locked(), Memory(tmp_path, "another").locked():
        pass
    assert all(one.parent == tmp_path for one in tmp_path.rglob("*"))


@pytest.mark.parametrize("text", ["", "{", '{"starts": 3}', '{"nodes": {"a": {"told": 1}}}'])
def test_a_memory_that_cannot_be_read_decides_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "elastic-x.json").write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        Memory(tmp_path, "x").read()


def test_each_task_is_a_line_and_the_remark_is_none() -> None:
    decision = NodeDecision(node="node1", action=ElasticAction.STOP, reason="idle for 900 s")
    plan = ElasticPlan(decisions=(decision,), remark="the floor allows 1 of 2 stops", past=ElasticPast())
    assert lines_of(plan) == "node1 stop idle for 900 s\n# the floor allows 1 of 2 stops\n"


def test_load_shows_what_is_read_here(clbalance: Command) -> None:
    clbalance("drain", "node2", "--reason", "play elastic-scale run 3: idle")
    rows = {
        row["name"]: row for row in json.loads(clbalance("load", "-w", "node[1-2],node8", "--json").stdout)["nodes"]
    }
    assert read_node(rows["node1"], "elastic-scale").serves
    assert read_node(rows["node2"], "elastic-scale").mark is Mark.OURS
    assert read_node(rows["node8"], "elastic-scale").uses == 0
