"""A node that can take no job is in no plan, and `load` says the same of it."""

from dataclasses import replace
from typing import Any

import pytest

from clbalance.model import JobFolder, Measured, Unknown
from clbalance.policy.placement.explain import NodeState, node_state
from clbalance.policy.placement.job_needs import JOB_BYTES, JOB_INODES
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import NOW, drain, node, placed, sweep

FOLDER = JobFolder(path="/var/tmp", is_open=True, is_writable=True, free_bytes=1 << 30, free_inodes=1000)


def with_folder(**facts: Any) -> Measured:
    return told(node("n"), job_folder=replace(FOLDER, **facts))


def told(answer: Measured, **parts: Any) -> Measured:
    return replace(answer, reading=replace(answer.reading, **parts))


@pytest.mark.parametrize(
    ("answer", "stage", "reason"),
    [
        pytest.param(node("n", python=False), "python", "no python3: `python3` is not on the PATH", id="no python"),
        pytest.param(
            told(node("n"), boot_id=Unknown(reason="no boot_id")),
            "boot_id",
            "boot id unknown: no boot_id",
            id="a boot that cannot be told from the next one",
        ),
        pytest.param(
            with_folder(is_open=False),
            "node_folder",
            "no node folder: /var/tmp is missing, no folder, or not readable",
            id="no folder",
        ),
        pytest.param(
            with_folder(is_writable=False),
            "node_folder",
            "node folder not writable: /var/tmp is read-only, or you may not write to it",
            id="read-only",
        ),
        pytest.param(
            with_folder(free_bytes=4096),
            "node_folder",
            "node folder full: only 4 KiB free in /var/tmp",
            id="full",
        ),
        pytest.param(
            with_folder(free_inodes=3),
            "node_folder",
            "node folder full: only 3 inodes free in /var/tmp",
            id="out of inodes",
        ),
        pytest.param(
            told(node("n", r1m=9.0), python=Unknown(reason="none")),
            "python",
            "no python3: none",
            id="that it is busy as well does not matter",
        ),
    ],
)
def test_a_node_is_unfit(answer: Measured, stage: str, reason: str) -> None:
    condition = node_state(answer, Thresholds(), NOW)
    assert (condition.state, condition.reason) == (NodeState.UNFIT, reason)
    (unfit,) = placed(sweep(answer), needs_python=True).unfit
    assert (unfit.filter, f"{unfit.reason}: {unfit.detail}") == (stage, reason)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(with_folder(free_bytes=JOB_BYTES, free_inodes=JOB_INODES), id="just enough room"),
        pytest.param(with_folder(free_bytes=None, free_inodes=None), id="room that is not told"),
        pytest.param(told(node("n"), job_folder=Unknown(reason="timed out")), id="a folder that is not told"),
    ],
)
def test_what_is_unknown_is_left_to_the_node(answer: Measured) -> None:
    assert node_state(answer, Thresholds(), NOW).state is NodeState.UP
    assert placed(sweep(answer), needs_python=True).chosen == ("n",)


def test_a_drain_is_said_first() -> None:
    answer = told(node("n", python=False), drains=(drain(),))
    assert node_state(answer, Thresholds(), NOW).state is NodeState.DRAINED
    (unfit,) = placed(sweep(answer), needs_python=True).unfit
    assert unfit.filter == "drained"
