"""Slurm is asked by a program of its own; here by others that print what it might."""

import shlex

from clbalance.transport.programs.slurm import ScontrolNodes


def printed(text: str, then: str = "") -> str:
    return f"printf %s {shlex.quote(text)}{then}"


def test_the_nodes_are_known_by_name() -> None:
    complaints: list[str] = []
    asked = ScontrolNodes(complaints.append, printed("NodeName=a State=IDLE\nNodeName=b State=DOWN*\n"))
    asked.ask()
    assert {name: node.state for name, node in asked.nodes().items()} == {"a": "IDLE", "b": "DOWN"}
    assert complaints == []


def test_a_failure_is_told_once_and_nothing_is_known() -> None:
    complaints: list[str] = []
    asked = ScontrolNodes(complaints.append, printed("no controller", then=" >&2; exit 1"))
    assert asked.nodes() == {}
    assert asked.nodes() == {}
    assert [complaint.partition(": `")[0] for complaint in complaints] == ["Slurm does not tell the state of its nodes"]
    assert complaints[0].endswith("no controller")


def test_a_program_that_is_missing_is_told() -> None:
    complaints: list[str] = []
    assert ScontrolNodes(complaints.append, "/no/such/scontrol").nodes() == {}
    assert len(complaints) == 1


def test_a_program_that_hangs_is_ended() -> None:
    complaints: list[str] = []
    assert ScontrolNodes(complaints.append, "sleep 1000", within_s=0.1).nodes() == {}
    assert "has not ended within" in complaints[0]
