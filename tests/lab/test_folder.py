"""The lab's folder is its owner's alone, and nothing that is no lab is ever removed."""

import os
from pathlib import Path

import pytest

from clbalance.errors import LabError, UsageError
from clbalance.lab import start
from clbalance.lab.cluster import Lab, take_down
from clbalance.lab.spec import LabSpec
from clbalance.lab.start import RECORD


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"CLBALANCE_LAB_DIR": "/x/y", "XDG_RUNTIME_DIR": "/run/user/1"}, "/x/y"),
        ({"XDG_RUNTIME_DIR": "/run/user/1"}, "/run/user/1/clbalance-lab"),
        ({}, f"/tmp/clbalance-lab-{os.getuid()}"),
    ],
)
def test_the_default_folder_is_the_users_own(environ: dict[str, str], place: str) -> None:
    assert start.default_directory(environ) == Path(place)


@pytest.mark.parametrize("name", ["a b", "a'b", 'a"b', "a%hb", "a$b", "a\nb", "ä", "a#b"])
def test_a_path_that_a_configuration_file_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot hold a lab"):
        start.absolute(tmp_path / name)


def test_a_new_folder_is_closed_to_others(tmp_path: Path) -> None:
    start.make(tmp_path / "lab", mode=0o700)
    assert (tmp_path / "lab").stat().st_mode & 0o777 == 0o700


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "lab").symlink_to("real")
    with pytest.raises(LabError, match="is not a folder"):
        start.make(tmp_path / "lab", mode=0o700)
    with pytest.raises(LabError, match="is not a folder"):
        take_down(tmp_path / "lab")


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab").chmod(0o777)
    with pytest.raises(LabError, match="others may write") as caught:
        start.make(tmp_path / "lab", mode=0o700)
    assert caught.value.hint == f"`chmod go-w {tmp_path}/lab`"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
@pytest.mark.root
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    os.chown(tmp_path / "lab", 2001, 2001)
    for act in (lambda: start.make(tmp_path / "lab", mode=0o700), lambda: take_down(tmp_path / "lab")):
        with pytest.raises(LabError, match="belongs to uid 2001"):
            act()


def test_a_folder_with_something_else_in_it_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(LabError, match="not empty and not a lab"):
        start.make(tmp_path, mode=0o700)
    with pytest.raises(LabError, match="is not a lab"):
        take_down(tmp_path)
    assert (tmp_path / "precious").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"cannot make .* No such file"):
        start.make(tmp_path / "no" / "lab", mode=0o700)


def test_where_no_lab_is_up_one_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no lab is up") as caught:
        Lab.find(tmp_path / "lab")
    assert "`clbalance lab up 8`" in caught.value.hint


def test_a_lab_of_another_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text('{"schema": 99}')
    with pytest.raises(LabError, match="another version"):
        take_down(tmp_path)
    assert (tmp_path / RECORD).exists()


@pytest.mark.sshd
def test_an_up_that_fails_leaves_nothing_behind(openssh: None, tmp_path: Path) -> None:
    # sshd takes 0 for a throttle that its own parser refuses.
    with pytest.raises(LabError, match="MaxStartups") as caught:
        Lab.up(tmp_path / "lab", LabSpec(nodes=1, max_startups="10:101:5"))
    assert "node1" in caught.value.message
    assert not (tmp_path / "lab").exists()
