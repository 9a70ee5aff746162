"""The file program on a node: it leaves files old or whole, and says why it could not write one."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.node.files.folders import boot_id, started_at
from tests.cli.files.trees import make_tree, tree_at, unfinished
from tests.engine.files.copying import copied


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "small", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no mounts here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.root
def test_on_a_full_disk_the_old_file_stays_the_reason_is_told_and_what_fits_is_copied(
    tmp_path: Path, small_disk: Path
) -> None:
    source = make_tree(tmp_path / "top", {"a-large": bytes(3 << 20), "small": b"new", "b-large": bytes(900_000)})
    make_tree(small_disk, {"top/a-large": b"old", "top/b-large": bytes(500_000)})
    result = copied(source, small_disk)
    assert result.failure is not None
    assert "no space left" in result.failure
    assert (small_disk / "top/a-large").read_bytes() == b"old"
    assert (small_disk / "top/small").read_bytes() == b"new"
    assert not unfinished(small_disk)


def test_many_folders_and_files_arrive_whole(tmp_path: Path) -> None:
    """More than are open or await their names at once."""
    files = {f"{number % 300}/{number}": str(number).encode() for number in range(5000)}
    source = make_tree(tmp_path / "top", files)
    result = copied(source, tmp_path / "there")
    assert (result.failure, result.sent, result.folders) == (None, 5000, 301)
    assert tree_at(tmp_path / "there") == tree_at(source)


def test_a_file_that_is_replaced_keeps_no_other_name_changed(tmp_path: Path) -> None:
    """Programs that have the old one open, and its hard links, keep the old content."""
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "there").write_bytes(b"old")
    os.link(tmp_path / "there", tmp_path / "linked")
    with (tmp_path / "there").open("rb") as opened:
        assert copied(tmp_path / "a", tmp_path / "there").failure is None
        assert opened.read() == b"old"
    assert (tmp_path / "linked").read_bytes() == b"old"
    assert (tmp_path / "there").read_bytes() == b"new"


def test_what_dead_transfers_have_left_is_removed_and_what_living_ones_write_is_not(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with subprocess.Popen(["true"]) as ended:
        pass
    living = f".clbalance-{boot_id()}-{os.getpid()}-{started_at('self')}-1.tmp"
    fresh_elsewhere = ".clbalance-0123456789abcdef-1-1-1.tmp"
    dead = f".clbalance-{boot_id()}-{ended.pid}-1-1.tmp"
    for name in (living, fresh_elsewhere, dead, ".clbalance-of-a-user"):
        (there / name).write_bytes(b"")
    (tmp_path / "a").write_bytes(b"new")
    assert copied(tmp_path / "a", f"{there}/").failure is None
    assert {file.name for file in there.iterdir()} == {
        "a", living, fresh_elsewhere, ".clbalance-of-a-user"
    }  # fmt: skip


def test_a_folder_in_which_nobody_may_write_is_made_with_all_that_is_in_it(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "top", {"closed/deep/file": b"x"})
    for folder in ("closed/deep", "closed"):
        (source / folder).chmod(0o555)
    assert copied(source, tmp_path / "there").failure is None
    assert tree_at(tmp_path / "there") == tree_at(source)


def test_the_times_of_folders_that_are_made_are_kept(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "top", {"sub/file": b"x"})
    os.utime(source / "sub", ns=(1, 1_000_000_000_123_456_789))
    assert copied(source, tmp_path / "there").failure is None
    assert (tmp_path / "there/sub").stat().st_mtime_ns == 1_000_000_000_123_456_789


def test_a_name_that_is_too_long_there_is_told(tmp_path: Path) -> None:
    deep = "/".join(["x" * 200] * 18)
    (tmp_path / "a").write_bytes(b"new")
    result = copied(tmp_path / "a", f"{tmp_path}/{deep}/a")
    assert result.failure is not None
    assert not list(tmp_path.glob("x*"))
