"""Sources of a copy: what is in them, and what is not followed."""

import os
from pathlib import Path

import pytest

from clbalance.model.files import Entry, FileKind, LeftOut
from clbalance.user_files.trees import SourceRefusedError, open_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    (made / "sub").mkdir(parents=True)
    (made / "sub/file").write_bytes(b"content")
    (tmp_path / "outside").write_bytes(b"secret")
    return made


def walked(path: Path | str, *, follow: bool = False, checksum: bool = False) -> dict[str, Entry | LeftOut]:
    with open_source(str(path), follow=follow) as tree:
        return {one.path: one for one in tree.walk(checksum=checksum)}


def test_names_begin_with_the_name_of_the_source_also_where_it_is_a_dot(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    for typed in (str(source), f"{source}/", ".", "sub/.."):
        assert sorted(walked(typed)) == ["source", "source/sub", "source/sub/file"]


def test_a_link_inside_is_followed_as_what_it_leads_to(source: Path) -> None:
    (source / "link").symlink_to("sub/file")
    (source / "folder").symlink_to("sub")
    found = walked(source)
    assert isinstance(link := found["source/link"], Entry)
    assert (link.kind, link.size) == (FileKind.FILE, 7)
    assert isinstance(found["source/folder/file"], Entry)


@pytest.mark.parametrize("text", ["../../outside", "/etc/passwd", "/etc"])
def test_a_link_that_leads_out_is_refused_with_its_name_unless_told_to_follow(source: Path, text: str) -> None:
    (source / "sub/link").symlink_to(text)
    with pytest.raises(SourceRefusedError, match=r"source/sub/link.*leads out") as refused:
        walked(source)
    assert "--follow" in refused.value.hint
    (source / "sub/link").unlink()
    (source / "sub/link").symlink_to("../../outside")
    assert isinstance(walked(source, follow=True)["source/sub/link"], Entry)


def test_a_source_that_is_a_link_itself_is_followed_for_the_user_named_it(source: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("source")
    assert sorted(walked(tmp_path / "current")) == ["current", "current/sub", "current/sub/file"]


def test_what_is_no_file_is_left_out_and_named(source: Path) -> None:
    os.mkfifo(source / "fifo")
    (source / "nowhere").symlink_to("missing")
    (source / "itself").symlink_to("itself")
    (source / "sub/up").symlink_to("..")
    left_out = {path: one.reason for path, one in walked(source).items() if isinstance(one, LeftOut)}
    assert left_out == {
        "source/fifo": "it is a FIFO",
        "source/nowhere": "it is a link to nothing",
        "source/itself": "it is a link to nothing",
        "source/sub/up": "it is a link to a folder that it is in",
    }


@pytest.mark.parametrize(
    ("path", "reason"), [("missing", "no such file"), ("fifo", "it is a FIFO"), ("/dev/null", "it is a device")]
)
def test_a_source_that_is_no_file_or_folder_is_refused(source: Path, path: str, reason: str) -> None:
    os.mkfifo(source / "fifo")
    with pytest.raises(SourceRefusedError, match=reason):
        walked(source / path)


def test_a_file_that_became_a_link_out_of_the_source_is_not_opened(source: Path) -> None:
    with open_source(str(source)) as tree:
        assert [one.path for one in tree.walk()]
        (source / "sub/file").unlink()
        (source / "sub/file").symlink_to("../../outside")
        with pytest.raises(SourceRefusedError, match="leads out"):
            tree.open("source/sub/file")


def test_a_checksum_is_that_of_the_content(source: Path) -> None:
    found = walked(source, checksum=True)["source/sub/file"]
    assert isinstance(found, Entry)
    assert found.sha256 == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"


def test_what_vanishes_while_a_folder_is_walked_was_never_there(source: Path) -> None:
    for number in range(1000):
        (source / f"{number}").touch()
    with open_source(str(source)) as tree:
        walk = tree.walk()
        for _ in range(10):
            next(walk)
        for number in range(1000):
            (source / f"{number}").unlink()
        assert len(list(walk)) < 1000
