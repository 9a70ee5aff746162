"""Slurm is asked by a program of its own; here by others that print what it might."""

import shlex
import threading
from pathlib import Path

from clbalance.transport.programs.slurm import Scontrol, ScontrolNodes
from tests.waiting import SOON_S


def printed(text: str, then: str = "") -> str:
    return f"printf %s {shlex.quote(text)}{then}"


def test_the_nodes_are_known_by_name() -> None:
    complaints: list[str] = []
    asked = ScontrolNodes(complaints.append, Scontrol(printed("NodeName=a State=IDLE\nNodeName=b State=DOWN*\n")))
    asked.ask()
    assert {name: node.state for name, node in asked.nodes().items()} == {"a": "IDLE", "b": "DOWN"}
    assert complaints == []


def test_a_failure_is_told_once_and_nothing_is_known() -> None:
    complaints: list[str] = []
    asked = ScontrolNodes(complaints.append, Scontrol(printed("no controller", then=" >&2; exit 1")))
    assert asked.nodes() == {}
    assert asked.nodes() == {}
    assert [complaint.partition(": `")[0] for complaint in complaints] == ["Slurm does not tell the state of its nodes"]
    assert complaints[0].endswith("no controller")


def test_a_program_that_is_missing_is_told() -> None:
    complaints: list[str] = []
    assert ScontrolNodes(complaints.append, Scontrol("/no/such/scontrol")).nodes() == {}
    assert len(complaints) == 1


def test_a_program_that_hangs_is_ended() -> None:
    complaints: list[str] = []
    assert ScontrolNodes(complaints.append, Scontrol("sleep 1000", within_s=0.1)).nodes() == {}
    assert "has not ended within" in complaints[0]


def test_a_program_that_prints_without_end_is_ended() -> None:
    complaints: list[str] = []
    assert ScontrolNodes(complaints.append, Scontrol("yes", within_s=SOON_S)).nodes() == {}
    assert "prints more than" in complaints[0]


def test_a_complaint_is_cut() -> None:
    complaints: list[str] = []
    assert ScontrolNodes(complaints.append, Scontrol("yes | head -c 100000 >&2; exit 1")).nodes() == {}
    assert len(complaints[0]) < 500


def test_sweeps_of_several_threads_share_one_answer(tmp_path: Path) -> None:
    calls, go_on = tmp_path / "calls", tmp_path / "go_on"
    waits = f"echo >>{calls}; until [ -e {go_on} ]; do sleep 0.01; done; "
    asked = ScontrolNodes(lambda _: None, Scontrol(waits + printed("NodeName=a State=IDLE\n"), within_s=SOON_S))
    found: list[object] = []
    asked.ask()
    threads = [threading.Thread(target=lambda: found.append(asked.nodes()["a"].state)) for _ in range(8)]
    for thread in threads:
        thread.start()
    go_on.touch()
    for thread in threads:
        thread.join()
    assert found == ["IDLE"] * 8
    assert calls.read_text() == "\n"


def test_slurm_that_did_not_answer_is_left_alone_for_a_while(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    scontrol = Scontrol(f"echo >>{calls}; exit 1", within_s=SOON_S, again_after_s=10 * SOON_S)
    complaints: list[str] = []
    for _ in range(3):  # as commands in `shell` do, one after another
        asked = ScontrolNodes(complaints.append, scontrol)
        for _ in range(3):
            asked.ask()
            assert asked.nodes() == {}
    assert calls.read_text() == "\n"
    assert len(complaints) == 3
