"""The file of typed lines."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.cli.shell.history import FileHistory


def test_lines_come_back_as_they_were_typed_and_the_file_is_private(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "history"
    history = FileHistory(path, told.append)
    typed = ["uptime", "echo \u00e4\u2028\x0c\x85", "# last"]
    for line in (*typed[:2], " secret", "two\nlines", typed[2]):
        history.store_string(line)
    assert list(FileHistory(path, told.append).load_history_strings()) == typed[::-1]
    assert (path.stat().st_mode & 0o777, told) == (0o600, [])


def test_of_a_huge_file_the_end_is_read_and_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.touch(0o644)
    os.truncate(path, 100 << 20)  # takes no place on the disk
    history = FileHistory(path, pytest.fail)
    for line in ("first", "second"):
        history.store_string(line)
    assert list(FileHistory(path, pytest.fail).load_history_strings()) == ["second"]  # of "first" not all was read


def make_others(path: Path) -> None:
    path.touch()
    try:
        os.chown(path, 65534, -1)
    except PermissionError:
        pytest.skip("only root has files of other users")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(Path.mkdir, "it is a folder", id="folder"),
        pytest.param(lambda path: path.symlink_to("/etc/passwd"), "it is a link", id="link"),
        pytest.param(os.mkfifo, "it is no file", id="pipe"),
        pytest.param(lambda path: path.symlink_to(path), "it is a link", id="loop"),
        pytest.param(make_others, "it belongs to another user", id="another user's"),
        pytest.param(
            lambda path: path.parent.rename(f"{path.parent}-gone"), "No such file or directory", id="no place"
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_once_and_done_without(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    told: list[str] = []
    path = tmp_path / "state" / "history"
    path.parent.mkdir()
    make(path)
    history = FileHistory(path, told.append)
    history.store_string("uptime")
    assert list(history.load_history_strings()) == []
    assert told == [f"continuing without a file for the history: `{path}`: {reason}"]
