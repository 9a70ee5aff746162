"""`--cpus`, `--mem`, `--gpus`, `--slots` and `--exclusive`: what `run` takes of a node, `load` shows it and `pick` counts it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.load import MIB, GpuLoad
from tests.cli.command import Command, ended
from tests.waiting import eventually

from .test_run_ends import await_output

GIB = 1024 * MIB


@contextmanager
def job(clbalance: Command, *arguments: str) -> Iterator[None]:
    """A job that is under way until the block ends."""
    child = clbalance.start("run", "-q", *arguments, "-c", "echo up; sleep 300")
    try:
        await_output(child)
        yield
    finally:
        child.terminate()
        ended(child)


def leases_of(clbalance: Command, node: str) -> list[dict[str, Any]]:
    (parsed,) = json.loads(clbalance("load", "-w", node, "--json").stdout)["nodes"]
    return list(parsed["leases"])


def picked(clbalance: Command, *arguments: str) -> str:
    """Every node that fits; empty where none does."""
    done = clbalance("pick", "--pick", "all", *arguments)
    assert done.rc == (0 if done.stdout else 3), done
    return done.text.strip()


def test_a_running_job_is_shown_as_a_lease_of_what_it_asked_for(clbalance: Command) -> None:
    with job(clbalance, "-w", "node5", "--cpus", "1.5", "--mem", "2G", "--gpus", "1", "--name", "train"):
        (lease,) = leases_of(clbalance, "node5")
        assert (lease["uid"], lease["name"], lease["attempt"]) == (0, "train", 1)
        assert (lease["cpus"], lease["mem_bytes"], len(lease["gpus"])) == (1.5, 2 * GIB, 1)
        header, row = clbalance("load", "-w", "node5").lines
        assert row[header.index("LEASES") :].split()[0] == "1"
        assert "1/2 free" in row
    eventually(lambda: not leases_of(clbalance, "node5"))


def test_a_lease_counts_before_the_load_shows_it(clbalance: Command) -> None:
    with job(clbalance, "-w", "node1", "--cpus", "3"):
        assert picked(clbalance, "-w", "node[1-2]") == "node[1-2]"
        assert clbalance("pick", "-w", "node[1-2]").stdout == b"node2\n"
        assert picked(clbalance, "-w", "node[1-2]", "--cpus", "2") == "node2"
        assert picked(clbalance, "-w", "node[1-2]", "--cpus", "0") == "node[1-2]"
        explained = clbalance("pick", "-w", "node1", "--cpus", "2", "--explain").stderr
        assert "2 requested, 1 of 4 free, 3 allocated" in explained


def test_cpus_that_somebody_uses_without_a_lease_are_not_free(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=3.5)
    assert picked(clbalance, "-w", "node[1-2]", "--cpus", "1") == "node[1-2]"
    assert picked(clbalance, "-w", "node[1-2]", "--cpus", "1.5") == "node2"
    assert picked(clbalance, "-w", "node[1-2]", "--cpus", "4.5") == ""


def test_a_job_of_no_cpus_fits_beside_a_full_lease_but_not_beside_an_exclusive_one(clbalance: Command) -> None:
    with job(clbalance, "-w", "node1", "--cpus", "4"), job(clbalance, "-w", "node2", "--exclusive"):
        assert clbalance("run", "-q", "-w", "node1", "--cpus", "0", "--", "true").rc == 0
        assert picked(clbalance, "-w", "node[1-3]", "--cpus", "0") == "node[1,3]"


def test_memory_that_is_promised_or_used_is_not_free(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(mem_used_bytes=8 * GIB)
    lab.node("node2").load(mem_used_bytes=GIB)
    with job(clbalance, "-w", "node2", "--mem", "10G"):
        assert picked(clbalance, "-w", "node[1-3]", "--mem", "4G") == "node[1-3]"
        assert picked(clbalance, "-w", "node[1-3]", "--mem", "7G") == "node[1,3]"
        assert picked(clbalance, "-w", "node[1-3]", "--mem", "10G") == "node3"
        assert picked(clbalance, "-w", "node[1-3]", "--mem", "100G") == ""
        assert "too little memory free" in clbalance("pick", "-w", "node2", "--mem", "7G").stderr


def test_gpus_that_a_stranger_uses_are_not_free(lab: Lab, clbalance: Command) -> None:
    stranger = GpuLoad(index=0, use_pct=0, mem_used_bytes=30_000 * MIB, process="notebook")
    lab.node("node5").load(gpus=(stranger,))
    assert picked(clbalance, "-a", "--gpus", "1") == "node[5-8]"
    assert picked(clbalance, "-a", "--gpus", "2") == "node[6-8]"
    assert picked(clbalance, "-a", "--gpus", "3") == ""


def test_a_job_gets_as_many_gpus_as_it_asked_for_and_all_of_a_node_if_it_likes(clbalance: Command) -> None:
    show = ("-c", 'echo "$CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER"')
    done = clbalance("run", "-q", "-w", "node5", "--gpus", "2", *show)
    assert done.rc == 0, done
    gpus, order = done.text.split()
    assert (len(set(gpus.split(","))), order) == (2, "PCI_BUS_ID")
    assert clbalance("run", "-q", "-w", "node1", *show).text == " \n"


def test_two_jobs_on_one_node_get_a_gpu_each_and_a_third_gets_none(clbalance: Command) -> None:
    with job(clbalance, "-w", "node5", "--gpus", "1"), job(clbalance, "-w", "node5", "--gpus", "1"):
        held = [gpu for lease in leases_of(clbalance, "node5") for gpu in lease["gpus"]]
        assert len(set(held)) == len(held) == 2
        assert clbalance("run", "-q", "-w", "node5", "--gpus", "1", "--", "true").rc == 125
        assert clbalance("run", "-q", "-w", "node5", "--", "true").rc == 0


def test_a_share_of_a_gpu_leaves_the_rest_to_other_shares_and_whole_gpus_whole(clbalance: Command) -> None:
    half = ("-w", "node5", "--cpus", "0.1", "--gpu-share", "0.5")
    with job(clbalance, *half), job(clbalance, *half):
        leases = leases_of(clbalance, "node5")
        assert [lease["gpu_share"] for lease in leases] == [0.5, 0.5]
        assert len({gpu for lease in leases for gpu in lease["gpus"]}) == 1
        done = clbalance("run", "-q", *half, "-c", 'echo "$CUDA_VISIBLE_DEVICES $CLBALANCE_GPU_SHARE"')
        gpu, share = done.text.split()
        assert ([gpu] == leases[0]["gpus"], share) == (False, "0.5")
        assert picked(clbalance, "-w", "node5", "--cpus", "0", "--gpus", "1") == "node5"
        assert picked(clbalance, "-w", "node5", "--cpus", "0", "--gpus", "2") == ""


def test_an_exclusive_job_wants_a_node_without_leases_and_keeps_it(clbalance: Command) -> None:
    with job(clbalance, "-w", "node1", "--cpus", "0.5"), job(clbalance, "-w", "node2", "--exclusive"):
        assert picked(clbalance, "-w", "node[1-3]", "--exclusive") == "node3"
        assert picked(clbalance, "-w", "node[1-3]") == "node[1,3]"
        explained = clbalance("pick", "-w", "node[1-2]", "--exclusive", "--explain").stderr
        assert "not empty: 1 " in explained
        assert "allocated whole: by uid 0: exclusive" in explained


def test_slots_are_counted_where_the_settings_give_a_node_some(clbalance: Command) -> None:
    (clbalance.folder / "clbalance.toml").write_text('[[nodes]]\nset = "node[1-2]"\nslots = 2\n')
    with job(clbalance, "-w", "node1", "--cpus", "0.1", "--slots", "2"):
        assert [lease["slots"] for lease in leases_of(clbalance, "node1")] == [2]
        assert picked(clbalance, "-w", "node[1-3]", "--cpus", "0.1") == "node[2-3]"
        assert picked(clbalance, "-w", "node[1-3]", "--cpus", "0.1", "--slots", "3") == "node3"
        assert "1 requested, 0 of 2 free" in clbalance("pick", "-w", "node1", "--explain").stderr
        assert clbalance("run", "-q", "-w", "node1", "--slots", "0", "--", "true").rc == 0


def test_the_node_itself_counts_slots_against_who_asks_with_a_number(clbalance: Command) -> None:
    with job(clbalance, "-w", "node3", "--cpus", "0.1"):
        (clbalance.folder / "clbalance.toml").write_text('[[nodes]]\nset = "node3"\nslots = 1\n')
        done = clbalance("run", "-w", "node3", "--cpus", "0.1", "--", "true")
        assert done.rc == 125
        assert "too few slots free" in done.stderr


def test_a_job_takes_a_cpu_unless_told_otherwise(clbalance: Command) -> None:
    with job(clbalance, "-w", "node1"):
        assert [lease["cpus"] for lease in leases_of(clbalance, "node1")] == [1.0]


@pytest.mark.parametrize("verb", ["run", "pick"])
@pytest.mark.parametrize(
    ("option", "value", "message", "hint"),
    [
        ("--cpus", "-1", "`--cpus` cannot be -1", "a number of cpus such as 2 or 0.5"),
        ("--cpus", "nan", "`--cpus` cannot be nan", "a number of cpus such as 2 or 0.5"),
        ("--cpus", "inf", "`--cpus` cannot be inf", "a number of cpus such as 2 or 0.5"),
        ("--cpus", "two", "'--cpus'", "--help`"),
        ("--mem", "20X", "`--mem` cannot be '20X'", "like `16G`"),
        ("--mem", "-1G", "`--mem` cannot be '-1G'", "like `16G`"),
        ("--mem", "", "`--mem` cannot be ''", "like `16G`"),
        ("--mem", "99999999T", "`--mem` cannot be '99999999T'", "like `16G`"),
        ("--gpus", "-1", "`--gpus` cannot be -1", "a number of GPUs"),
        ("--gpus", "1.5", "'--gpus'", "--help`"),
        ("--gpu-share", "0", "`--gpu-share` cannot be 0", "above 0 and below 1"),
        ("--gpu-share", "1", "`--gpu-share` cannot be 1", "`--gpus 1`"),
        ("--gpu-share", "nan", "`--gpu-share` cannot be nan", "above 0 and below 1"),
        ("--gpus=1", "--gpu-share=0.5", "`--gpu-share` and `--gpus` exclude each other", "a part of one GPU"),
        ("--slots", "-1", "`--slots` cannot be -1", "a number of slots"),
    ],
)
def test_a_size_that_cannot_be_meant_is_told_with_one_that_could(
    alone: Command, verb: str, option: str, value: str, message: str, hint: str
) -> None:
    done = alone(verb, option, value, *(["--", "true"] if verb == "run" else []))
    assert (done.rc, done.stdout) == (2, b"")
    said, _, hinted = done.stderr.partition("\nhint: ")
    assert message in said
    assert hint in hinted


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (("--cpus", "9999"), "0/1 nodes fit: 1 too few cpus free"),
        (("--limit-cpus", "9999"), "0/1 nodes fit: 1 too few cpus free"),
        (("--mem", "900T"), "0/1 nodes fit: 1 too little memory free"),
        (("--tmp", "900T"), "0/1 nodes fit: 1 too little temporary space"),
        (("--gpus", "99"), "0/1 nodes fit: 1 too few GPUs free"),
        (("--pick", "2"), "1/1 nodes fit, 2 wanted"),
        (("--cpus", "9999", "--array", "0-1"), "0/1 nodes fit: 1 too few cpus free"),
        (("--cpus", "9999", "--detach"), "0/1 nodes fit: 1 too few cpus free"),
    ],
    ids=" ".join,
)
def test_this_machine_alone_is_held_to_what_was_typed(alone: Command, typed: tuple[str, ...], reason: str) -> None:
    done = alone("run", *typed, "--", "true")
    assert (done.rc, done.stdout) == (125, b"")
    assert f"clbalance: {reason}\n" in done.stderr
    if not {"--array", "--detach"} & set(typed):
        picked = alone("pick", *typed)
        assert (picked.rc, picked.stdout) == (3, b"")


def test_this_machine_alone_takes_any_work_for_which_no_cpus_were_typed(alone: Command) -> None:
    assert alone("run", "-q", "--", "echo", "here").text == "here\n"
    assert alone("run", "-q", "--cpus", "0", "--", "echo", "here").text == "here\n"
