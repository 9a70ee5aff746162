"""The node folder: claims, tombstones, squatters, and disks that are full."""

import contextlib
import itertools
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .agent_client import AgentClient, exit_record, job_folder, new_job

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_job_that_was_claimed_before_is_never_started_again(client: AgentClient, tmp_path: Path) -> None:
    job = client.begin(argv=["echo", "once"])
    client.until("ended", job)
    with AgentClient(tmp_path) as other:
        for op, fields in (("claim", {}), ("start", {"spec": {"argv": ["true"]}}), ("follow", {"window": 9})):
            other.ask(op, job, **fields)
        refused = other.until_refused(job)
        assert (refused["kind"], refused["why"], refused["rc"]) == ("exists", f"{job} was claimed before", None)
        other.ask("end", job, grace_s=0, why="")
        assert other.line(0.1) is None
    assert (job_folder(tmp_path, job) / "stdout").read_bytes() == b"once\n"


def test_of_many_agents_that_claim_at_once_one_wins(tmp_path: Path) -> None:
    job = new_job()
    agents = [AgentClient(tmp_path) for _ in range(6)]
    for agent in agents:
        agent.until("hello")
    for agent in agents:
        agent.ask("claim", job)
    parts = [agent.event()["ev"] for agent in agents]
    for agent in agents:
        agent.__exit__()
    assert sorted(parts) == ["claimed", *["refused"] * 5]


def test_forgetting_leaves_a_tombstone_that_still_refuses(client: AgentClient, tmp_path: Path) -> None:
    mess = 'cd "$CLBALANCE_JOB_DIR"; mkdir -p a/b; touch a/b/c; ln -s / a/root; ln -s /etc etc; mkfifo f'
    job = client.begin(script=mess.encode())
    client.until("ended", job)
    client.ask("forget", job)
    client.ask("claim", job)
    assert client.until_refused(job)["kind"] == "exists"
    assert {path.name for path in job_folder(tmp_path, job).iterdir()} == {"fate", "exit", "stdout", "stderr"}
    assert Path("/etc/passwd").exists()


def test_of_a_forgotten_job_that_printed_much_only_the_end_is_kept(client: AgentClient, tmp_path: Path) -> None:
    job = client.begin(argv=["head", "-c", "1048577", "/dev/zero"])
    client.until("ended", job)
    client.ask("forget", job)
    client.ask("claim", job)
    assert client.until_refused(job)["kind"] == "exists"
    assert {path.name for path in job_folder(tmp_path, job).iterdir()} == {"fate", "exit"}


def test_a_claim_whose_client_went_away_is_left_empty(tmp_path: Path) -> None:
    job = new_job()
    with AgentClient(tmp_path) as client:
        client.ask("claim", job)
        client.put(job, "script", b"echo never")
        client.until("stored", job)
    assert list(job_folder(tmp_path, job).iterdir()) == []


def test_a_refused_start_leaves_only_the_tombstone(client: AgentClient, tmp_path: Path) -> None:
    job = client.begin(argv=["nosuch"], stdin=b"x")
    client.until_refused(job)
    assert list(job_folder(tmp_path, job).iterdir()) == []


def test_what_a_job_keeps_is_private_whatever_its_umask(client: AgentClient, tmp_path: Path) -> None:
    job = client.begin(script=b"true", stdin=b"x", umask=0)
    client.until("ended", job)
    folder = job_folder(tmp_path, job)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent, folder.parent.parent)}
    assert list(modes.values()) == [0o700, 0o700, 0o755]
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.name != "fate"}
    assert kept == dict.fromkeys(["spec", "script", "stdin", "stdout", "stderr", "exit", "control"], 0o600)


def test_the_kept_end_is_the_told_end(client: AgentClient, tmp_path: Path) -> None:
    job = client.begin(argv=["sh", "-c", "exit 5"], name="five")
    ended = client.until("ended", job)
    assert exit_record(tmp_path, job) == {key: ended[key] for key in ("end", "seconds", "usage", "warnings")}
    assert json.loads((job_folder(tmp_path, job) / "spec").read_text())["name"] == "five"


def test_a_link_or_loose_folder_of_our_name_is_passed_over(tmp_path: Path) -> None:
    uid = os.geteuid()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    base = tmp_path / "base"
    base.mkdir()
    (base / f"clbalance-{uid}").symlink_to(elsewhere)
    (base / f"clbalance-{uid}-1").mkdir()
    (base / f"clbalance-{uid}-1").chmod(0o777)
    (base / f"clbalance-{uid}-2").write_text("a file")
    with AgentClient(base) as client:
        parsed = client.run(argv=["sh", "-c", "echo $CLBALANCE_JOB_DIR"])
    assert parsed["stdout"].decode() == f"{base}/clbalance-{uid}-3/jobs/{parsed['job']}\n"
    assert list(elsewhere.iterdir()) == []


@as_root
@pytest.mark.root
def test_a_strangers_folder_of_our_name_is_passed_over(tmp_path: Path) -> None:
    squat = tmp_path / "clbalance-0"
    squat.mkdir(mode=0o755)
    os.chown(squat, 12345, 12345)
    with AgentClient(tmp_path) as client:
        assert client.run(argv=["true"])["end"]["rc"] == 0
    assert list(squat.iterdir()) == []
    assert (tmp_path / "clbalance-0-1").stat().st_uid == 0


def test_every_name_taken_refuses_with_that_reason(tmp_path: Path) -> None:
    own = f"clbalance-{os.geteuid()}"
    for name in [own, *(f"{own}-{n}" for n in range(1, 10))]:
        (tmp_path / name).symlink_to("nowhere")
    with AgentClient(tmp_path) as client:
        kind, reason, rc = client.refusal(argv=["true"])
    assert (kind, rc) == ("node_dir", None)
    assert reason == f"{tmp_path}/{own} … {own}-9 are all taken by other users or links, or writable by others"


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("/no/such", "/no/such: No such file or directory"),
        ("/dev/null", "/dev/null: Not a directory"),
        ("here", "CLBALANCE_NODE_DIR must be an absolute path, not `here`"),
    ],
)
def test_a_node_folder_that_cannot_be_is_refused(base: str, reason: str) -> None:
    with AgentClient(Path(base)) as client:
        assert client.refusal(argv=["true"]) == ("node_dir", reason, None)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=24,mode=1777", "tiny", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)  # a supervisor may have it open a moment longer


def fill(disk: Path) -> None:
    with (disk / "fill").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(itertools.repeat(bytes(4096)))


@as_root
@pytest.mark.root
def test_a_full_disk_refuses_the_claim(tiny_disk: Path) -> None:
    with contextlib.suppress(OSError):
        for n in range(100):
            (tiny_disk / str(n)).touch()
    with AgentClient(tiny_disk) as client:
        kind, reason, _ = client.refusal(argv=["true"])
    assert (kind, reason) == ("storage", f"{tiny_disk}: No space left on device")


@as_root
@pytest.mark.root
@pytest.mark.parametrize("work", [{"argv": ["true"]}, {"script": b"echo " + b"x" * 9000}], ids=list)
def test_a_full_disk_refuses_the_start_and_leaves_no_half_of_it(tiny_disk: Path, work: dict[str, Any]) -> None:
    with AgentClient(tiny_disk) as client:
        assert client.run(argv=["true"])["end"]["rc"] == 0
        fill(tiny_disk)
        job = client.begin(**work)
        refused = client.until_refused(job)
        assert (refused["kind"], refused["why"]) == ("storage", "No space left on device")
        assert list(job_folder(tiny_disk, job).iterdir()) == []
        (tiny_disk / "fill").unlink()
        assert client.run(argv=["true"])["end"]["rc"] == 0


@as_root
@pytest.mark.root
def test_a_job_that_fills_the_disk_still_leaves_its_end(tiny_disk: Path) -> None:
    with AgentClient(tiny_disk) as client:
        ran = client.run(argv=["sh", "-c", "head -c 9999999 /dev/zero; head -c 9999999 /dev/zero; exit 9"])
    assert ran["end"] == {"kind": "exited", "rc": 9}
    assert ran["warnings"] == []
    assert len(ran["stdout"]) > 100_000
    assert exit_record(tiny_disk, ran["job"])["end"] == ran["end"]
