"""A file that vanishes, shrinks or changes while it is read is an error of that file, and is never sent torn."""

import os
from pathlib import Path

import pytest

from clbalance.engine.files.local_files import LargeFile, LocalFiles, SmallFile
from clbalance.engine.files.values import FileError, Source
from clbalance.model.files import Entry, Manifest
from clbalance.user_files.trees import open_source

LARGE = 1 << 20


@pytest.fixture
def opened(tmp_path: Path):  # type: ignore[no-untyped-def]
    top = tmp_path / "top"
    top.mkdir()
    (top / "large").write_bytes(bytes(LARGE))
    (top / "small").write_bytes(b"content")
    with open_source(str(top)) as tree:
        manifest = Manifest.of(one for one in tree.walk() if isinstance(one, Entry))
        yield top, LocalFiles((Source(tree=tree, manifest=manifest),)), manifest.entries


def test_a_file_that_vanished_or_became_a_link_out_of_its_folder_is_an_error(opened, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    top, files, entries = opened
    (top / "small").unlink()
    with pytest.raises(FileError, match="it has vanished"):
        files.open(entries["top/small"])
    (tmp_path / "secret").write_bytes(b"secret")
    (top / "small").symlink_to(tmp_path / "secret")
    with pytest.raises(FileError, match="link that leads out"):
        files.open(entries["top/small"])


def test_a_file_that_changed_before_it_is_read_is_sent_as_it_is_now(opened) -> None:  # type: ignore[no-untyped-def]
    top, files, entries = opened
    (top / "small").write_bytes(b"more content")
    file = files.open(entries["top/small"])
    assert isinstance(file, SmallFile)
    assert (file.content, file.entry.size) == (b"more content", 12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda file: os.truncate(file, LARGE // 2), "it shrank while it was read"),
        (lambda file: os.truncate(file, LARGE * 2), "it grew while it was read"),
        (lambda file: os.utime(file, (1, 1)), "it changed while it was read"),
    ],
    ids=["shrinks", "grows", "is touched"],
)
def test_a_file_that_changes_while_it_is_read_is_an_error(opened, change, reason: str) -> None:  # type: ignore[no-untyped-def]
    top, files, entries = opened
    file = files.open(entries["top/large"])
    assert isinstance(file, LargeFile)
    pieces = file.pieces()
    next(pieces)
    change(top / "large")
    with pytest.raises(FileError, match=reason):
        for _ in pieces:
            pass
    assert not file.checksum
    file.close()
