"""`--limit-cpus`, `--limit-mem`, `--tmp`: what the user sees of a job that is kept within limits."""

import json
import os
import sys
from typing import Any

import pytest

from tests.cli.command import Command
from tests.waiting import eventually

from .test_resources import job, leases_of, picked

TAKE = f"{sys.executable} -I -S -c \"kept = bytearray(b'x') * (96 << 20); import time; time.sleep(30)\""
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one cpu cannot be divided")


def told(clbalance: Command, word: str = "last") -> dict[str, Any]:
    (found,) = json.loads(clbalance("jobs", word, "--json").stdout)["jobs"]
    return dict(found)


def explained(clbalance: Command, word: str = "last") -> dict[str, Any]:
    return dict(json.loads(clbalance("explain", word, "--json").stdout))


def test_a_job_beyond_its_memory_is_out_of_memory(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--limit-mem", "48M", "-c", f"exec {TAKE}")
    assert done.rc == 137
    assert "OUT_OF_MEMORY" in done.stderr
    assert "past its limit of 48 MiB" in done.stderr
    row = told(clbalance)
    assert (row["state"], row["rc"], row["qos"]) == ("OUT_OF_MEMORY", 137, "Burstable")
    (kept,) = explained(clbalance)["limits"]
    assert (kept["node_set"], kept["attempt"]) == ("node1", 1)
    assert kept["kept"][0].startswith("memory limit 48 MiB, ")


def test_it_is_not_started_again_for_that(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node[1-3]", "--retry", "2", "--limit-mem", "48M", "-c", f"exec {TAKE}")
    assert (done.rc, told(clbalance)["attempt"]) == (137, 1)


def test_it_is_found_out_by_whoever_looks_later(clbalance: Command) -> None:
    number = clbalance("run", "--detach", "-w", "node2", "--limit-mem", "48M", "-c", f"exec {TAKE}").text.strip()
    assert clbalance("wait", number).rc == 137
    assert told(clbalance, number)["state"] == "OUT_OF_MEMORY"
    assert "limits on node2: memory limit 48 MiB, " in clbalance("explain", number).text


def test_a_task_that_takes_too_much_fails_alone(clbalance: Command) -> None:
    text = f'[ "$CLBALANCE_TASK_ID" = 0 ] || exit 0; exec {TAKE}'
    done = clbalance("run", "-w", "node1", "--array", "0-2", "--limit-mem", "48M", "-c", text)
    assert done.rc == 137
    assert "2 of 3 tasks completed, 1 out of memory" in done.stderr
    rows = json.loads(clbalance("jobs", "last", "--tasks", "--json").stdout)["tasks"]
    assert [row["state"] for row in rows] == ["OUT_OF_MEMORY", "COMPLETED", "COMPLETED"]


@TWO_CPUS
def test_a_guaranteed_job_is_bound_and_everybody_sees_it(clbalance: Command) -> None:
    limits = ("--limit-cpus", "1", "--limit-mem", "1G")
    with job(clbalance, "-w", "node5", *limits, "--name", "train"):
        row = told(clbalance, "train")
        assert row["qos"] == "Guaranteed"
        (found,) = leases_of(clbalance, "node5")
        assert (found["cpus"], found["mem_bytes"]) == (1.0, 1 << 30)
        elsewhere = {"CLBALANCE_STATE_DIR": str(clbalance.folder / "another-host")}
        (seen,) = json.loads(clbalance("jobs", "-w", "node5", "--json", env=elsewhere).stdout)["jobs"]
        assert (seen["reason"], seen["qos"]) == ("submitted elsewhere", "Guaranteed")
        other = clbalance("run", "-q", "-w", "node5", *limits, "-c", "nproc; taskset -cp $$")
        assert other.lines[0] == "1"
        first = explained(clbalance, "train")["limits"][0]["kept"][0]
        second = explained(clbalance)["limits"][0]["kept"][0]
        assert first != second
        assert second == f"bound to cpu {other.lines[1].split(': ')[1]}"
    eventually(lambda: not leases_of(clbalance, "node5"))


@TWO_CPUS
def test_what_cannot_be_kept_is_said(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--limit-cpus", "0.5", "-c", "nproc")
    assert done.stdout == b"1\n"
    assert "warning: node1: cpu limit 0.5 not enforced, only whole cpus are: " in done.stderr


def test_nothing_asked_and_nothing_limited_is_best_effort(clbalance: Command) -> None:
    assert clbalance("run", "-q", "-w", "node1", "--cpus", "0", "--", "true").rc == 0
    assert explained(clbalance)["qos"] == "BestEffort"
    assert explained(clbalance)["limits"] == []


def test_temporary_space_is_promised_to_one(clbalance: Command) -> None:
    (row,) = json.loads(clbalance("load", "-w", "node1", "--json").stdout)["nodes"]
    most = f"{row['tmp_free_bytes'] * 6 // 10 >> 20}M"
    assert picked(clbalance, "-w", "node[1-2]", "--tmp", most) == "node[1-2]"
    with job(clbalance, "-w", "node1", "--tmp", most):
        assert picked(clbalance, "-w", "node[1-2]", "--tmp", most) == "node2"
        message = clbalance("pick", "-w", "node1", "--tmp", most, "--explain").stderr
        assert "too little temporary space" in message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--limit-cpus", "0"), "`--limit-cpus` cannot be 0"),
        (("--limit-cpus", "nan"), "`--limit-cpus` cannot be nan"),
        (("--limit-mem", "0"), "`--limit-mem` cannot be '0'"),
        (("--limit-mem", "lots"), "`--limit-mem` cannot be 'lots'"),
        (("--tmp", "-1"), "`--tmp` cannot be '-1'"),
        (("--cpus", "2", "--limit-cpus", "1"), "`--cpus 2` is more than `--limit-cpus 1`"),
        (("--mem", "2G", "--limit-mem", "1G"), "`--mem 2G` is more than `--limit-mem 1G`"),
    ],
)
def test_limits_that_cannot_be_meant(clbalance: Command, options: tuple[str, ...], reason: str) -> None:
    done = clbalance("run", "-w", "node1", *options, "--", "true")
    assert (done.rc, reason in done.stderr, "hint: " in done.stderr) == (2, True, True)
