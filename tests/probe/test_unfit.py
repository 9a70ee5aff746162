"""What the probe sees of a node that can take no job: its python3, and the folder in which a job would be kept."""

import os

import pytest

from clbalance.model import JobFolder, Unknown
from clbalance.probe.frame import Section
from clbalance.probe.host import parse_job_folder, parse_python

from .conftest import HOME, Node

NOT_ROOT = pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
ROWS = " 1K-blocks Used Avail Inodes IFree\n 100 60 30 9 8\n 200 150 20 {inodes} 7\n"


def test_every_shell_finds_the_python_that_exec_would(node: Node) -> None:
    node.env["PATH"] = f"{node.root}/empty:{node.root}/bin:{node.root}/lib"
    (node.root / "empty").mkdir()
    (node.root / "bin/python3").mkdir()
    (node.root / "lib/python3").write_text("#!/bin/sh\n")
    assert node.reading().python == Unknown(reason=f"{node.root}/bin/python3 cannot be executed")
    (node.root / "lib/python3").chmod(0o755)
    assert node.reading().python == f"{node.root}/lib/python3"


def test_a_python_whose_other_name_has_an_old_number_is_too_old(node: Node) -> None:
    node.env["PATH"] = f"{node.root}/bin"
    node.program("python3.5", "exit 0")
    (node.root / "bin/python3").symlink_to("python3.5")
    assert node.reading().python == Unknown(reason=f"{node.root}/bin/python3 is Python 3.5, and jobs need 3.6")
    (node.root / "bin/python3").unlink()
    node.program("python3", "exit 0")
    assert node.reading().python == f"{node.root}/bin/python3"


def test_an_empty_python_is_none(dash_node: Node) -> None:
    dash_node.env["PATH"] = f"{dash_node.root}/bin"
    (dash_node.root / "bin/python3").touch(0o755)
    assert dash_node.reading().python == Unknown(reason=f"{dash_node.root}/bin/python3 is empty")


def test_no_python_is_started(dash_node: Node) -> None:
    dash_node.program("python3", f"touch {dash_node.root}/ran")
    assert dash_node.reading().python == f"{dash_node.root}/bin/python3"
    assert not (dash_node.root / "ran").exists()


def test_every_shell_tells_the_room_in_the_folder_for_jobs(node: Node) -> None:
    folder = node.reading().job_folder
    assert isinstance(folder, JobFolder)
    room = os.statvfs(node.root / "var")
    assert (folder.path, folder.is_open, folder.is_writable) == (str(node.root / "var"), True, True)
    assert folder.free_bytes is not None
    assert folder.free_bytes > 0
    assert (folder.free_inodes is None) == (room.f_files == 0)


def test_a_folder_that_is_none_is_told(node: Node) -> None:
    (node.root / "var").rmdir()
    told = node.reading()
    assert told.job_folder == JobFolder(
        path=str(node.root / "var"), is_open=False, is_writable=False, free_bytes=None, free_inodes=None
    )
    assert not isinstance(told.tmp, Unknown)


@NOT_ROOT
def test_where_only_root_makes_folders_ours_will_do(node: Node) -> None:
    node.mark(f"{HOME}/jobs/ended/exit")
    (node.root / "var").chmod(0o555)
    folder = node.reading().job_folder
    assert isinstance(folder, JobFolder)
    assert folder.is_writable
    (node.root / "var" / HOME).chmod(0o555)
    folder = node.reading().job_folder
    assert isinstance(folder, JobFolder)
    assert not folder.is_writable


def test_a_df_of_another_kind_tells_no_inodes_and_the_rest_counts(node: Node) -> None:
    rows = "echo 'x 100 60 30 60% /a b'; echo 'x 200 150 20 90% /'"
    node.program("df", f"case $1$2 in -k--*) exit 1 ;; esac; echo Filesystem; {rows}")
    told = node.reading()
    assert not isinstance(told.tmp, Unknown)
    assert (told.tmp.total_bytes, told.tmp.free_bytes) == (100 << 10, 30 << 10)
    assert isinstance(told.job_folder, JobFolder)
    assert told.job_folder.free_bytes == (50 << 10 if os.getuid() == 0 else 20 << 10)
    assert told.job_folder.free_inodes is None


@pytest.mark.parametrize(
    ("uid", "inodes", "free_kib", "free_inodes"),
    [
        pytest.param(1000, "9", 20, 7, id="users have what is available"),
        pytest.param(0, "9", 50, 7, id="root has its reserve too"),
        pytest.param(1000, "0", 20, None, id="without a number of inodes none is short"),
        pytest.param(1000, "-", 20, None, id="inodes that are not told are not short"),
    ],
)
def test_room_for(uid: int, inodes: str, free_kib: int, free_inodes: int | None) -> None:
    section = Section(text="jobs -drxw /var/tmp\n/tmp\n" + ROWS.format(inodes=inodes), status="0")
    folder = parse_job_folder(section, uid)
    assert isinstance(folder, JobFolder)
    assert (folder.free_bytes, folder.free_inodes) == (free_kib << 10, free_inodes)


def test_a_reserve_of_root_that_is_in_use_leaves_users_no_room() -> None:
    text = "jobs -drxw /var/tmp\n/tmp\nSize Used Avail Inodes IFree\n100 60 30 9 8\n200 195 -3 9 7\n"
    for uid, free_kib in ((1000, 0), (0, 5)):
        folder = parse_job_folder(Section(text=text, status="0"), uid)
        assert isinstance(folder, JobFolder)
        assert folder.free_bytes == free_kib << 10


@pytest.mark.parametrize("text", ["jobs", "jobs -q /var/tmp", "jobs -d var", "jobs -dd\x1b /x", ""])
def test_a_folder_that_is_not_told_rightly_is_unknown(text: str) -> None:
    assert isinstance(parse_job_folder(Section(text=text, status="0"), 1000), Unknown)


def test_what_hangs_costs_the_room_and_not_what_was_told_before() -> None:
    folder = parse_job_folder(Section(text="jobs -drx /var/tmp\n/tmp\n", status=None), 1000)
    assert folder == JobFolder(path="/var/tmp", is_open=True, is_writable=False, free_bytes=None, free_inodes=None)


@pytest.mark.parametrize("against", ["old 3.9", "old x", "old 3.4\x1b[2J", "noise"])
def test_other_words_about_a_python_are_not_against_it(against: str) -> None:
    assert parse_python(f"/usr/bin/python3\n{against}\n") == "/usr/bin/python3"
