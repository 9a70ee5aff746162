"""A link is followed only where nobody else could have set it, or could exchange what it leads to."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.errors import UsageError
from clbalance.user_files import check_folder, check_writable, open_for_appending, replace_file

from .test_kinds import ALL, WRITING

Way = Callable[[str], None]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that must not change, in a folder of ours."""
    folder = tmp_path / "safe"
    folder.mkdir(mode=0o755)
    file = folder / "target"
    file.write_text("old")
    return file


@pytest.mark.parametrize("way", WRITING)
@pytest.mark.parametrize("text", ["{safe}/target", "../safe/target", "../safe/absent", "second"])
def test_a_link_in_a_folder_of_ours_to_one_of_ours_is_followed_and_stays(
    way: Way, own: Path, target: Path, text: str
) -> None:
    (own / "second").symlink_to(target)
    link = own / "link"
    link.symlink_to(text.format(safe=target.parent))
    way(str(link))
    assert (link.is_symlink(), link.read_text()) == (True, "new\n")
    assert sorted(os.listdir(own)) == ["link", "second"]


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o757])
def test_a_link_where_everybody_may_write_is_refused(way: Way, own: Path, target: Path, mode: int) -> None:
    own.chmod(mode)
    (own / "link").symlink_to(target)
    with pytest.raises(UsageError, match="is a link, and everybody may write to its folder") as caught:
        way(str(own / "link"))
    assert caught.value.hint == f"name it without the link: `{target}`"
    assert ((own / "link").is_symlink(), target.read_text()) == (True, "old")


@pytest.mark.parametrize("way", ALL)
def test_a_link_where_a_group_may_write_is_refused(way: Way, own: Path, target: Path) -> None:
    if os.geteuid() == 0:
        os.chown(own, 0, 65532)
    elif os.getgid() == own.stat().st_gid:
        pytest.skip("the group may be ours alone")
    own.chmod(0o775)
    (own / "link").symlink_to(target)
    with pytest.raises(UsageError, match="is a link, and group 65532 may write to its folder"):
        way(str(own / "link"))
    assert target.read_text() == "old"


@pytest.mark.parametrize("way", ALL)
def test_a_link_in_a_strangers_folder_is_refused_and_where_it_leads_is_not_proposed(
    way: Way, own: Path, target: Path, stranger: int
) -> None:
    (own / "link").symlink_to(target)
    os.chown(own / "link", stranger, stranger, follow_symlinks=False)
    os.chown(own, stranger, stranger)
    with pytest.raises(UsageError, match="is a link, and its folder belongs to") as caught:
        way(str(own / "link"))
    assert caught.value.hint == "name a file in a folder of your own"
    assert target.read_text() == "old"


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("name", ["there", "absent"])
def test_a_link_to_where_everybody_may_write_is_refused(way: Way, own: Path, public: Path, name: str) -> None:
    (public / "there").write_text("old")
    (own / "link").symlink_to(public / name)
    with pytest.raises(UsageError, match=r"a link leads to .*, and everybody may write to its folder") as caught:
        way(str(own / "link"))
    assert caught.value.hint == f"name it without the link: `{public / name}`"
    assert {path.name: path.read_text() for path in public.iterdir()} == {"there": "old"}


@pytest.mark.parametrize("way", ALL)
def test_a_link_to_a_folder_counts_as_well(way: Way, public: Path, target: Path) -> None:
    (public / "folder").symlink_to(target.parent)
    with pytest.raises(UsageError, match="is a link, and everybody may write") as caught:
        way(str(public / "folder" / "target"))
    assert caught.value.hint == f"name it without the link: `{target}`"
    with pytest.raises(UsageError, match="is a link"):
        check_folder(str(public / "folder"))
    assert target.read_text() == "old"


@pytest.mark.parametrize("way", WRITING)
def test_a_folder_of_ours_like_scratch_is_reached_through_a_link(way: Way, own: Path, public: Path) -> None:
    (public / "me").mkdir()
    (own / "scratch").symlink_to(public / "me")
    way(str(own / "scratch" / "file"))
    assert (public / "me" / "file").read_text() == "new\n"


@pytest.mark.parametrize("way", ALL)
def test_a_strangers_folder_there_is_not(way: Way, own: Path, public: Path, stranger: int) -> None:
    (public / "me").mkdir()
    os.chown(public / "me", stranger, stranger)
    (own / "scratch").symlink_to(public / "me")
    with pytest.raises(UsageError, match="a link leads to"):
        way(str(own / "scratch" / "file"))
    assert os.listdir(public / "me") == []


@pytest.mark.parametrize("way", ALL)
def test_a_chain_is_as_weak_as_its_weakest_link(way: Way, own: Path, public: Path, target: Path) -> None:
    (public / "second").symlink_to(target)
    (own / "first").symlink_to(public / "second")
    with pytest.raises(UsageError, match="link"):
        way(str(own / "first"))
    assert target.read_text() == "old"


def test_a_name_like_a_descriptors_is_a_file_elsewhere(own: Path) -> None:
    replace_file(str(own / "1"), b"x")
    assert (own / "1").read_bytes() == b"x"


# -- traps where everybody may write -------------------------------------------------------------


def test_a_strangers_file_where_everybody_may_write_is_not_appended_to(public: Path, stranger: int) -> None:
    path = public / "file"
    path.touch()
    path.chmod(0o666)
    os.chown(path, stranger, stranger)
    for way in (open_for_appending, check_writable):
        with pytest.raises(UsageError, match=r"it belongs to .*, in a folder that everybody may write to") as caught:
            way(str(path))
        assert caught.value.hint == "name a file in a folder of your own"
    assert path.read_bytes() == b""


def test_a_strangers_fifo_there_gets_nothing(public: Path, stranger: int) -> None:
    path = public / "fifo"
    os.mkfifo(path)
    os.chown(path, stranger, stranger)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for way in (open_for_appending, check_writable):
            with pytest.raises(UsageError, match="it belongs to"):
                way(str(path))
        with pytest.raises(UsageError, match="it belongs to"):
            replace_file(str(path), b"x")
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_a_file_of_ours_that_has_a_second_name_there_is_not_appended_to(public: Path, target: Path) -> None:
    os.link(target, public / "file")
    with pytest.raises(UsageError, match="it has another name elsewhere"):
        open_for_appending(str(public / "file"))
    assert target.read_text() == "old"


def test_a_file_of_ours_there_is_appended_to(public: Path) -> None:
    for text in (b"1", b"2"):
        with open_for_appending(str(public / "file")) as file:
            file.append(text)
    assert (public / "file").read_bytes() == b"12"


def test_a_colleagues_file_in_a_folder_of_a_group_is_appended_to(own: Path, stranger: int) -> None:
    path = own / "file"
    path.touch()
    os.chown(path, stranger, stranger)
    own.chmod(0o2775)
    with open_for_appending(str(path)) as file:
        file.append(b"x")
    assert path.read_bytes() == b"x"


EXCHANGE = """
import os, sys
public, target = sys.argv[1:]
makers = (lambda to: open(to, "x").close(), lambda to: os.symlink(target, to), os.mkfifo)
os.chdir(public)
while os.getppid() != 1:
    for make in makers:
        make("fresh")
        os.rename("fresh", "file")
"""


def test_what_is_exchanged_between_the_look_and_the_opening_is_never_written_through(
    public: Path, target: Path
) -> None:
    outcomes: set[str] = set()
    give_up_at = time.monotonic() + 20
    with subprocess.Popen([sys.executable, "-c", EXCHANGE, str(public), str(target)]) as other:
        try:
            for attempt in itertools.count():
                if attempt >= 2000 and {"written", "refused"} <= outcomes:
                    break
                assert time.monotonic() < give_up_at, outcomes
                outcomes.add(_tried(public / "file"))
        finally:
            other.kill()
    assert target.read_text() == "old"


def _tried(path: Path) -> str:
    try:
        with open_for_appending(str(path)) as file:
            file.append(b"x")
    except UsageError as error:
        return "refused" if "is a link" in error.message else error.message
    return "written"
