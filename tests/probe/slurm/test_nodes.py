"""What Slurm prints of its nodes, read and weighed. The states are those that real clusters show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.slurm import SlurmNode
from clbalance.policy.slurm.nodes import has_jobs, is_drained, why_no_jobs
from clbalance.probe.slurm.nodes import slurm_nodes

LINE = (
    "NodeName=gpu7 Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=4 CPUTot=4 CPULoad=0.86"
    " AvailableFeatures=(null) ActiveFeatures=(null) Gres=gpu:2 NodeAddr=gpu7 NodeHostName=gpu7 Version=22.05.8"
    " OS=Linux 6.1.0-13-amd64 #1 SMP Debian 6.1.55-1  RealMemory=16384 AllocMem=0 FreeMem=17316 Sockets=4 Boards=1"
    " State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=batch "
    " BootTime=2026-11-29T19:07:36 SlurmdStartTime=2026-11-30T14:41:25 CfgTRES=cpu=4,mem=16G,billing=4 AllocTRES="
    " CapWatts=n/a CurrentWatts=0 AveWatts=0 ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s"
)


def node_of(state: str, reason: str = "") -> SlurmNode:
    (node,) = slurm_nodes(LINE.format(state=state) + (f" Reason={reason}" if reason else ""))
    return node


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("IDLE", ""),
        ("MIXED", ""),
        ("ALLOCATED", ""),
        ("ALLOCATED+COMPLETING", ""),
        ("IDLE+CLOUD", ""),
        ("IDLE+DYNAMIC_NORM", ""),
        ("IDLE+DRAIN", "IDLE+DRAIN"),
        ("MIXED+DRAIN", "MIXED+DRAIN"),
        ("DOWN", "DOWN"),
        ("DOWN*+NOT_RESPONDING", "DOWN+NOT_RESPONDING"),
        ("IDLE*", "IDLE+NOT_RESPONDING"),
        ("IDLE+NOT_RESPONDING", "IDLE+NOT_RESPONDING"),
        ("IDLE+FAIL", "IDLE+FAIL"),
        ("IDLE+MAINTENANCE", "IDLE+MAINTENANCE"),
        ("IDLE+MAINTENANCE+RESERVED", "IDLE+MAINTENANCE+RESERVED"),
        ("MIXED+PLANNED", "MIXED+PLANNED"),
        ("IDLE+RESERVED", "IDLE+RESERVED"),
        ("IDLE+REBOOT_REQUESTED", "IDLE+REBOOT_REQUESTED"),
        ("DOWN+DRAIN+REBOOT_ISSUED", "DOWN+DRAIN+REBOOT_ISSUED"),
        ("IDLE+CLOUD+POWERED_DOWN", "IDLE+POWERED_DOWN"),
        ("IDLE+POWERING_UP", "IDLE+POWERING_UP"),
        ("UNKNOWN*", "UNKNOWN+NOT_RESPONDING"),
        ("FUTURE", "FUTURE"),
        ("SOME_NEW_STATE", "SOME_NEW_STATE"),
    ],
)
def test_a_state_says_whether_slurm_gives_the_node_jobs(state: str, why: str) -> None:
    assert why_no_jobs(node_of(state)) == why


def test_the_reason_that_somebody_wrote_is_kept_whole() -> None:
    node = node_of("IDLE+DRAIN", "disk = 3 State=IDLE NodeName=x [root@2026-11-30T15:11:59]")
    assert why_no_jobs(node) == "IDLE+DRAIN: disk = 3 State=IDLE NodeName=x [root@2026-11-30T15:11:59]"


def test_no_sign_in_a_reason_begins_another_node() -> None:
    (node,) = slurm_nodes(LINE.format(state="IDLE+DRAIN") + " Reason=old\x85NodeName=b State=DOWN\u2028\x0bx\n")
    assert (node.node, node.reason) == ("gpu7", "old\x85NodeName=b State=DOWN\u2028\x0bx")


def test_a_long_reason_is_cut() -> None:
    assert node_of("IDLE+DRAIN", "x" * 1_000_000).reason == "x" * 200


def test_a_drained_node_is_told_from_one_that_is_out_of_service_otherwise() -> None:
    assert [is_drained(node_of(state)) for state in ("IDLE+DRAIN", "DOWN+DRAIN", "DOWN", "IDLE+FAIL")] == [
        True,
        True,
        False,
        False,
    ]


def test_jobs_that_are_ending_count_as_jobs() -> None:
    assert [has_jobs(node_of(state)) for state in ("MIXED+DRAIN", "IDLE+COMPLETING+DRAIN", "IDLE+DRAIN")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "text", ["", "No nodes in the system\n", "slurm_load_node error\n", "NodeName=x\n", "State=IDLE\n"]
)
def test_what_is_no_node_is_left_out(text: str) -> None:
    assert list(slurm_nodes(text)) == []


@given(st.text())
def test_a_reason_can_be_any_text_and_changes_nothing_else(reason: str) -> None:
    (first, *_) = slurm_nodes(LINE.format(state="IDLE+DRAIN") + f" Reason={reason}")
    assert (first.node, first.state, first.flags) == ("gpu7", "IDLE", {"DRAIN"})


def test_each_line_is_a_node() -> None:
    text = "\n".join(LINE.format(state=state).replace("gpu7", name) for name, state in (("a", "IDLE"), ("b", "DOWN*")))
    assert [(node.node, node.state) for node in slurm_nodes(text)] == [("a", "IDLE"), ("b", "DOWN")]
