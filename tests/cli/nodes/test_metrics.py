"""`metrics`: a sweep for Prometheus; with a file, whole or not at all."""

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import ARGV, Command
from tests.cli.test_startup import packages
from tests.render.reports.test_metrics import of
from tests.waiting import SOON_S


def test_a_sweep_is_told_with_silent_nodes_and_jobs(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=2.0)
    lab.node("node4").kill()
    assert clbalance("run", "-q", "-w", "node1", "--", "true").rc == 0
    done = clbalance("metrics", "node[1,4-5]")
    assert (done.rc, done.stderr) == (0, "")
    assert (of(done.text, "node_up", node="node1"), of(done.text, "node_up", node="node4")) == (1, 0)
    assert of(done.text, "node_state", node="node4", state="down") == 1
    assert of(done.text, "node_load_per_cpu", node="node1") == pytest.approx(0.5, abs=0.01)
    assert of(done.text, "jobs", state="COMPLETED") == 1
    assert of(done.text, "rebalance_runs_total") is None
    assert (of(done.text, "sweep_duration_seconds") or 0) > 0


def test_a_file_is_replaced_whole_and_nothing_is_printed(clbalance: Command, tmp_path: Path) -> None:
    folder = tmp_path / "textfile"
    folder.mkdir()
    file = folder / "clbalance.prom"
    file.write_text("old\n")
    file.chmod(0o600)
    before = file.stat().st_ino
    done = clbalance("metrics", "-w", "node1", "--output", str(file))
    assert (done.rc, done.stdout, done.stderr) == (0, b"", "")
    assert of(file.read_text(), "node_up", node="node1") == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert file.stat().st_ino != before
    assert os.listdir(folder) == ["clbalance.prom"]


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(alone: Command, tmp_path: Path) -> None:
    folder = tmp_path / "textfile"
    folder.mkdir()
    file = folder / "clbalance.prom"
    file.write_text("old\n")
    # As on a full disk: no file may grow beyond a few bytes (the shell counts in blocks of 512 or 1024).
    done = subprocess.run(
        ["sh", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$@"', "sh", *ARGV, "metrics", "--output", str(file)],
        env={**alone.env, "CLBALANCE_STATE_DIR": "/proc/nowhere"}, cwd=alone.folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"`{file}` cannot be written: File too large" in done.stderr
    assert (file.read_text(), os.listdir(folder)) == ("old\n", ["clbalance.prom"])


def test_an_output_that_cannot_be_is_told_before_any_node_is_asked(alone: Command, tmp_path: Path) -> None:
    done = alone("metrics", "--output", str(tmp_path))
    assert (done.rc, "is a folder" in done.stderr) == (2, True)
    done = alone("metrics", "--output", str(tmp_path / "no" / "x.prom"))
    assert (done.rc, "there is no folder" in done.stderr) == (2, True)
    done = alone("metrics", "--output", str(tmp_path / "x.txt"))
    assert (done.rc, "only reads files that end in .prom" in done.stderr) == (0, True)


def test_it_works_in_an_empty_environment_with_standard_input_closed(alone: Command) -> None:
    env = {name: alone.env[name] for name in ("CLBALANCE_STATE_DIR", "PYTHONPATH", "CLBALANCE_NODE_DIR")}
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *ARGV, "metrics"],
        env=env, cwd=alone.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "clbalance_node_up" in done.stdout


def test_it_imports_no_drawing(clbalance: Command) -> None:
    assert packages(clbalance, "metrics", "-w", "node1").isdisjoint({"rich", "psutil", "prometheus_client"})


def test_a_device_stays_one_and_a_pipe_gets_the_text(alone: Command, tmp_path: Path) -> None:
    before = os.lstat("/dev/null")
    done = alone("metrics", "--output", "/dev/null")
    assert (done.rc, done.stdout, done.stderr) == (0, b"", "")
    after = os.lstat("/dev/null")
    assert (after.st_ino, after.st_rdev, after.st_mode) == (before.st_ino, before.st_rdev, before.st_mode)
    done = alone("metrics", "--output", "/dev/stdout")
    assert (done.rc, done.stderr) == (0, "")
    assert "clbalance_node_up" in done.text


def test_a_device_that_root_made_elsewhere_stays_one_as_well(alone: Command, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    device = tmp_path / "null.prom"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    assert alone("metrics", "--output", str(device)).rc == 0
    assert stat.S_ISCHR(device.lstat().st_mode)


def test_a_fifo_that_nobody_reads_is_told_before_any_node_is_asked(
    clbalance: Command, lab: Lab, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    lab.node("node1").hang()
    began = time.monotonic()
    done = clbalance("metrics", "-w", "node1", "-t", "600", "--output", str(tmp_path / "fifo"))
    assert (done.rc, "it is a FIFO, and nobody reads from it" in done.stderr) == (2, True)
    assert time.monotonic() - began < SOON_S
    assert stat.S_ISFIFO((tmp_path / "fifo").lstat().st_mode)


def test_a_link_is_followed_only_where_nobody_else_may_have_set_it(alone: Command, tmp_path: Path) -> None:
    target = tmp_path / "clbalance.prom"
    target.write_text("old")
    own, public = tmp_path / "own", tmp_path / "public"
    for folder in (own, public):
        folder.mkdir(mode=0o755)
        (folder / "link.prom").symlink_to(target)
    public.chmod(0o1777)
    done = alone("metrics", "--output", str(public / "link.prom"))
    assert (done.rc, target.read_text()) == (2, "old")
    assert "is a link, and everybody may write to its folder" in done.stderr
    assert f"hint: name it without the link: `{target}`" in done.stderr
    assert alone("metrics", "--output", str(own / "link.prom")).rc == 0
    assert ("clbalance_node_up" in target.read_text(), (own / "link.prom").is_symlink()) == (True, True)
