"""A request in the words of sbatch, and where in Slurm it may run."""

from dataclasses import replace

import pytest

from clbalance.model import NodeName, Request
from clbalance.model.engine import EngineNode, EngineOrder, Pool, Refused
from clbalance.model.job import Command, JobSpec
from clbalance.model.request import Constraints
from clbalance.policy.slurm.options import pool_of, sbatch_options, why_not

JOB = JobSpec(
    id=3, key="ab", name="train", payload=Command(argv=("true",)), chdir="/", chdir_explicit=False, umask=0o22
)


def names(*words: str) -> tuple[NodeName, ...]:
    return tuple(map(NodeName, words))


NODES = (
    *(EngineNode(node=node, pools=("batch", "all")) for node in names("n1", "n2", "n3")),
    EngineNode(node=NodeName("big"), pools=("all",)),
    EngineNode(node=NodeName("old"), pools=("all",), reason="DOWN"),
)


def order(
    *candidates: str, group: str | None = None, pick: int | None = 1, exclude: str = "", **more: object
) -> EngineOrder:
    request = Request(pick=pick, excluded=frozenset(names(*exclude.split())))
    return EngineOrder(name="ab.1", job=JOB, request=request, candidates=names(*candidates), group=group, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "pool"),
    [
        pytest.param(order("n1", "n2", "n3", group="batch"), Pool(partition="batch"), id="a group is a partition"),
        pytest.param(
            order("n1", "n3", group="batch", exclude="n2"),
            Pool(partition="batch", excluded=names("n2")),
            id="without -x",
        ),
        pytest.param(order("n2"), Pool(partition="batch", nodes=names("n2")), id="one node"),
        pytest.param(
            order("n1", "n2", pick=2), Pool(partition="batch", nodes=names("n1", "n2")), id="as many as the job needs"
        ),
        pytest.param(order("n1", "n2", pick=None), Pool(partition="batch", nodes=names("n1", "n2")), id="--pick all"),
        pytest.param(
            order("big", "old", group="all", pick=None, exclude="n1"),
            Pool(partition="all", nodes=names("n2", "n3", "big")),
            id="--pick all of a group: those that get jobs",
        ),
        pytest.param(order("n1", pick=2), Refused("it needs 2 nodes, and there is 1"), id="more copies than nodes"),
        pytest.param(order("n1", "n2"), Pool(partition="batch", excluded=names("n3")), id="Slurm chooses among more"),
        pytest.param(
            order("n3", "big", pick=2), Pool(partition="all", nodes=names("n3", "big")), id="another partition"
        ),
        pytest.param(order("n1", "node9"), Refused("node9 is no node of Slurm"), id="a stranger"),
        pytest.param(order("n1", exclude="n1"), Refused("no node is left"), id="all are excluded"),
    ],
)
def test_named_nodes_are_asked_of_slurm(asked: EngineOrder, pool: Pool | Refused) -> None:
    assert pool_of(asked, NODES) == pool


def test_a_request_becomes_options_rounded_up() -> None:
    asked = order("n1", after=("11", "12"), account="physics")
    request = replace(asked.request, cpus=1.5, mem_bytes=(1 << 30) + 1, gpus=2, tmp_bytes=1, exclusive=True)
    asked = replace(asked, request=request, job=replace(JOB, time_limit_s=90.0))
    options = sbatch_options(asked, Pool(partition="batch", nodes=names("n1")), "/f")
    assert {
        "--job-name=ab.1",
        "--comment=train",
        "--account=physics",
        "--no-requeue",
        "--export=ALL",
        "--nodes=1",
        "--partition=batch",
        "--nodelist=n1",
        "--dependency=afterok:11:12",
        "--cpus-per-task=2",
        "--mem=1025M",
        "--gres=gpu:2",
        "--tmp=1M",
        "--exclusive",
        "--time=2",
    } <= set(options)


@pytest.mark.parametrize(
    ("request_", "option"),
    [
        (Request(), ""),
        (Request(cpus=4.0, mem_bytes=5, limit_mem_bytes=5, gpus=1), ""),
        (Request(gpus=1, gpu_share=0.5), "--gpu-share"),
        (Request(slots=2), "--slots"),
        (Request(limit_cpus=2.0), "--limit-cpus"),
        (Request(constraints=Constraints(where="ut < 10")), "--where"),
        (Request(constraints=Constraints(ask_all=True)), "--ask-all"),
        (Request(constraints=Constraints(tolerated=frozenset({"x"}))), "--tolerate"),
    ],
)
def test_what_slurm_cannot_be_asked_for_is_named(request_: Request, option: str) -> None:
    assert why_not(request_) == option
