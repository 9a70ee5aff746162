"""A regular file is replaced whole, with the owner and the mode that its user expects."""

import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clbalance.errors import ClbalanceError, UsageError
from clbalance.user_files import check_writable, open_for_appending, replace_file, replace_link


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_who_reads_it_meanwhile_reads_the_old_one_to_its_end(own: Path) -> None:
    path = own / "file"
    path.write_text("old")
    with path.open() as reader:
        replace_file(str(path), b"new")
        assert reader.read() == "old"
    assert (path.read_text(), os.listdir(own)) == ("new", ["file"])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_it_keeps_its_mode(own: Path, mode: int) -> None:
    path = own / "file"
    path.touch()
    path.chmod(mode)
    replace_file(str(path), b"new")
    assert _mode(path) == mode


def test_a_mode_that_is_asked_for_is_given_whatever_the_umask(own: Path) -> None:
    os.umask(0o077)
    (own / "old").touch(mode=0o600)
    for name in ("old", "new"):
        replace_file(str(own / name), b"x", mode=0o644)
        assert _mode(own / name) == 0o644
    replace_file(str(own / "private"), b"x")
    assert _mode(own / "private") == 0o600


def test_it_keeps_its_owner_and_group(own: Path, stranger: int) -> None:
    path = own / "file"
    path.touch()
    os.chown(path, stranger, stranger)
    replace_file(str(path), b"new")
    assert (path.stat().st_uid, path.stat().st_gid, path.read_bytes()) == (stranger, stranger, b"new")


def test_what_a_stranger_laid_where_everybody_may_gets_nothing(public: Path, stranger: int) -> None:
    path = public / "file"
    path.touch()
    path.chmod(0o666)
    os.chown(path, stranger, stranger)
    with path.open() as theirs:
        replace_file(str(path), b"new")
        assert theirs.read() == ""
    assert (path.stat().st_uid, _mode(path)) == (os.geteuid(), 0o644)


def test_another_name_of_it_keeps_the_old_content(own: Path) -> None:
    (own / "file").write_text("old")
    os.link(own / "file", own / "other")
    replace_file(str(own / "file"), b"new")
    assert ((own / "file").read_text(), (own / "other").read_text()) == ("new", "old")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(own: Path) -> None:
    path = own / "file"
    path.write_text("old")
    with _files_of_at_most(10), pytest.raises(ClbalanceError, match="File too large"):
        replace_file(str(path), b"x" * 100)
    assert (path.read_text(), os.listdir(own)) == ("old", ["file"])


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_opening_emptying_and_appending_are_three_steps(own: Path) -> None:
    path = own / "file"
    path.write_text("old")
    with open_for_appending(str(path)) as file:
        assert path.read_text() == "old"
        file.append(b" and more")
        assert path.read_text() == "old and more"
        file.empty()
        file.append(b"1")
        with path.open("ab") as other:
            other.write(b"2")
        file.append(b"3")
    assert path.read_text() == "123"


def test_a_folder_that_is_not_ours_to_write_is_told_beforehand() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    for replaced in (False, True):
        with pytest.raises(ClbalanceError, match="Permission denied"):
            check_writable("/etc/clbalance-test", replaced=replaced)


# -- links that are made -------------------------------------------------------------------------


def test_a_link_is_made_and_pointed_anew_in_one_step(own: Path) -> None:
    for text in ("/first", "/second"):
        replace_link(str(own / "link"), text)
        assert (os.readlink(own / "link"), os.listdir(own)) == (text, ["link"])


@pytest.mark.parametrize("what", ["file", "folder", "fifo"])
def test_a_link_takes_the_place_of_nothing_but_a_link(own: Path, what: str) -> None:
    path = own / "there"
    {"file": path.touch, "folder": path.mkdir, "fifo": lambda: os.mkfifo(path)}[what]()
    before = path.lstat()
    with pytest.raises(UsageError, match="it is there already, and is no link"):
        replace_link(str(path), "/elsewhere")
    assert (path.lstat().st_ino, os.listdir(own)) == (before.st_ino, ["there"])


def test_no_link_is_made_where_others_could_exchange_it(public: Path) -> None:
    with pytest.raises(UsageError, match="everybody may write to its folder") as caught:
        replace_link(str(public / "link"), "/elsewhere")
    assert (f"`chmod go-w {public}`" in caught.value.hint, os.listdir(public)) == (True, [])
