"""The node's file of limits: what it keeps out, what the refusal says, and that a wrong file lets nobody in."""

import grp
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.node.agent_client import AgentClient
from tests.node.nodes import ALICE, BOB, GIB, GPUS, ME, Node

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the file must be root's, and several users need root")

NOBODY = 65534
MY_GROUP = grp.getgrgid(os.getegid()).gr_name


def refused(client: AgentClient, **asked: object) -> str:
    kind, reason = client.admission_refusal(**asked)
    assert kind == "limits"
    return reason


def test_a_job_more_than_the_limit_is_refused_and_told_whose_it_is_and_what_frees_it(node: Node) -> None:
    node.limits_conf.write_text("# shared fairly\nDefault MaxGpus=2\n")
    with node.client() as client, node.client(ALICE) as alice:
        first = client.admit(gpu_count=2, gpu_candidates=GPUS, name="train")
        assert refused(client, gpu_count=1, gpu_candidates=GPUS) == (
            "MaxGpus=2 of each user: 1 requested, 2 in use until these jobs end"
            f" ({node.limits_conf}, line 2); leased: {ME} 2 (train)"
        )
        alice.admit(gpu_count=2, gpu_candidates=GPUS)  # another user has limits of her own
        client.ask("end", first, grace_s=1, why="done")
        client.until_refused(first)
        client.admit(gpu_count=1, gpu_candidates=GPUS)


@pytest.mark.parametrize(
    ("limit", "asked", "why"),
    [
        pytest.param("MaxJobs=0", {"cpus": 1}, "1 requested, which is more than any job may have", id="jobs"),
        pytest.param("MaxCpus=1.5", {"cpus": 2}, "2 requested, which is more than any job may have", id="cpus"),
        pytest.param("MaxCpus=1", {"cpus": 0}, "the job does not say what it needs: give `--cpus`", id="no cpus"),
        pytest.param("MaxCpus=2", {"cpus": 1, "exclusive": True}, "4 requested, which is more than any job may have", id="whole node"),
        pytest.param("MaxCpus=2", {"cpus": 1, "exclusive": True, "capacity": {"cpus": 1, "slots": None}}, "4 requested, which is more than any job may have", id="whole node, said to be small"),
        pytest.param("MaxMem=1G", {"cpus": 1}, "the job does not say what it needs: give `--mem`", id="no memory"),
        pytest.param("MaxMem=1G", {"mem_bytes": 2 * GIB}, "2 GiB requested, which is more than any job may have", id="memory"),
        pytest.param("MaxWall=1-00:00:00", {"cpus": 1}, "the job does not say what it needs: give `--time-limit`", id="no time limit"),
        pytest.param("MaxWall=1d", {"time_limit_s": 86401}, "24:00:01 requested, which is more than any job may have", id="time limit"),
    ],
)  # fmt: skip
def test_what_no_job_may_have_is_refused_at_once(node: Node, limit: str, asked: dict[str, object], why: str) -> None:
    node.limits_conf.write_text(f"User={ME} {limit}\n")
    with node.client() as client:
        assert refused(client, **asked) == f"{limit} of user {ME}: {why} ({node.limits_conf}, line 1)"


def test_what_keeps_within_every_limit_is_admitted(node: Node) -> None:
    node.limits_conf.write_text(f"Default MaxJobs=1 MaxCpus=2\nUser={ME} MaxJobs=unlimited MaxMem=2G MaxWall=1h\n")
    with node.client() as client:
        for _ in range(2):
            client.admit(cpus=1, mem_bytes=GIB, time_limit_s=3600)
        assert refused(client, cpus=1, mem_bytes=GIB, time_limit_s=60).startswith(
            "MaxCpus=2 of each user: 1 requested, 2 in"
        )


def test_the_limit_of_a_group_counts_the_jobs_of_all_its_members(node: Node) -> None:
    node.limits_conf.write_text(f"Group={MY_GROUP} MaxJobs=2\n")
    with node.client() as client, node.client(NOBODY) as nobody, node.client(ALICE) as nameless:
        nobody.admit(cpus=1)  # not of the group
        client.admit(cpus=1, name="mine")
        client.admit(cpus=1)
        assert refused(client, cpus=1) == (
            f"MaxJobs=2 of group {MY_GROUP}: 1 requested, 2 in use until these jobs end"
            f" ({node.limits_conf}, line 1); leased: {ME} 2 (mine, test)"
        )
        assert f"uid {ALICE} has no name on this node" in refused(nameless, cpus=1)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(lambda path: os.chown(path, BOB, BOB), f"it belongs to uid {BOB}, not to root", id="another's"),
        pytest.param(lambda path: path.chmod(0o664), "others than root may write to it", id="writable"),
        pytest.param(lambda path: path.parent.chmod(0o777), "others than root may write to its folder", id="writable folder"),
        pytest.param(link, "it must be reached without links", id="a link"),
        pytest.param(lambda path: path.symlink_to("gone") if path.unlink() is None else None, "it must be reached without links", id="a link to nothing"),
        pytest.param(fifo, "it is not a regular file", id="a FIFO"),
        pytest.param(folder, "it is not a regular file", id="a folder"),
        pytest.param(lambda path: path.write_text("#" * (64 << 10) + "\n"), "it is larger than 64 KiB", id="too long"),
        pytest.param(lambda path: path.write_bytes(b"Default MaxJobs=\xff\n"), "it is not UTF-8", id="not UTF-8"),
        pytest.param(lambda path: path.write_text(""), "it is empty", id="empty"),
        pytest.param(lambda path: path.write_text("Default MaxJobs=9\nDefault MaxJ=1\n"), "line 2: 'MaxJ=1': the limits are", id="a wrong word"),
        pytest.param(lambda path: path.write_text("Group=no-such MaxJobs=9\n"), "line 1: there is no group 'no-such' on this node", id="no such group"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_or_not_roots_alone_lets_nobody_in(
    node: Node, spoil: Callable[[Path], None], why: str
) -> None:
    node.limits_conf.write_text("Default MaxJobs=9\n")
    spoil(node.limits_conf)
    with node.client() as client:
        reason = refused(client, cpus=1)
        assert reason.startswith(f"{node.limits_conf}: {why}")
        assert reason.endswith("; no job is admitted until root mends it")


def test_a_node_without_the_file_has_no_limits(node: Node) -> None:
    with node.client() as client:
        client.admit(cpus=1)


def test_a_file_behind_a_link_to_its_folder_lets_nobody_in(node: Node) -> None:
    real = node.limits_conf.parent / "real"
    real.mkdir()
    (real / "limits.conf").write_text("Default MaxJobs=9\n")
    named = node.limits_conf.parent / "named"
    named.symlink_to(real)
    with node.client(CLBALANCE_LIMITS=str(named / "limits.conf")) as client:
        assert "named/limits.conf: it must be reached without links" in refused(client, cpus=1)
    with node.client(CLBALANCE_LIMITS=str(named / "none.conf")) as client:
        client.admit(cpus=1)
