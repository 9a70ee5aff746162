"""What can make a command run is read only where nobody else could have written it."""

import os
from pathlib import Path

import pytest

from clbalance.errors import SettingsError
from clbalance.settings.trusted_file import Reader, check_trusted, examine, read_trusted

ROOT = Reader(uid=0, owners=frozenset({0, os.geteuid()}))
ANN = Reader(uid=4321, owners=frozenset({0, 4321, os.geteuid()}))
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Below a folder of its own, and right."""
    made = tmp_path / "site" / "groups.conf"
    made.parent.mkdir(mode=0o755)
    made.write_text("all is well")
    made.chmod(0o644)
    return made


def fault_of(path: Path, reader: Reader) -> SettingsError | None:
    examined = examine(path, 1000, reader)
    assert examined.content == b"all is well"
    return examined.fault


def told(path: Path, reader: Reader) -> tuple[str, str]:
    fault = fault_of(path, reader)
    assert fault is not None
    return fault.message.removeprefix(f"{path}: "), fault.hint


@pytest.mark.parametrize("reader", [ROOT, ANN], ids=["root", "ann"])
def test_a_file_of_root_or_of_oneself_is_read(file: Path, reader: Reader) -> None:
    assert fault_of(file, reader) is None
    assert read_trusted(file, 1000) == b"all is well"


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_what_all_may_write_is_refused_and_the_chmod_is_told(file: Path, is_folder: bool) -> None:
    wrong = file.parent if is_folder else file
    wrong.chmod(0o757)
    what = f"its folder {wrong}" if is_folder else "it"
    assert told(file, ROOT) == (f"others may write to {what}", f"type `chmod go-w {wrong}`")
    assert told(file, ANN) == (f"others may write to {what}", f"type `chmod o-w {wrong}`")
    with pytest.raises(SettingsError, match="others may write"):
        read_trusted(file, 1000)
    with pytest.raises(SettingsError, match="others may write"):
        check_trusted(file)


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_what_the_group_may_write_is_refused_to_root_alone(file: Path, is_folder: bool) -> None:
    wrong = file.parent if is_folder else file
    wrong.chmod(0o775)
    assert told(file, ROOT)[1] == f"type `chmod go-w {wrong}`"
    assert fault_of(file, ANN) is None


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_what_belongs_to_somebody_else_is_refused_and_the_chown_is_told(file: Path, is_folder: bool) -> None:
    wrong = file.parent if is_folder else file
    os.chown(wrong, 54321, -1)
    message, hint = told(file, ROOT)
    assert "belongs to uid 54321" in message
    assert hint == f"type `chown root {wrong}` if you trust it"
    assert f"have root type `chown 4321 {wrong}`" in told(file, ANN)[1]
    assert fault_of(file, Reader(uid=54321, owners=frozenset({0, 54321}))) is None


@pytest.mark.root
@needs_root
def test_root_reads_nothing_of_a_user(file: Path) -> None:
    os.chown(file, 4321, -1)
    assert "belongs to uid 4321" in told(file, Reader.here())[0]
    assert fault_of(file, ANN) is None
    assert fault_of(file, Reader.here(4321)) is None, "but of those that it was told to trust"


def test_a_folder_far_above_counts_as_well(file: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert told(file, ANN) == (f"others may write to its folder {tmp_path}", f"type `chmod o-w {tmp_path}`")


def test_a_sticky_folder_above_may_be_writable_as_tmp_is(file: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert fault_of(file, ROOT) is None


@pytest.mark.root
@needs_root
def test_a_link_of_somebody_else_in_a_sticky_folder_is_refused(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.conf"
    link.symlink_to(file)
    os.chown(link, 54321, -1, follow_symlinks=False)
    assert fault_of(link, ROOT) is None, "nobody but root can change it there"
    tmp_path.chmod(0o1777)
    message, hint = told(link, ROOT)
    assert message.startswith(f"its link {link} belongs to uid 54321")
    assert hint == f"type `chown -h root {link}` if you trust it"


@pytest.mark.parametrize("target", ["site/groups.conf", "../{name}/site/groups.conf", "//{path}/site/./groups.conf"])
def test_the_folders_of_a_link_and_of_its_target_count(file: Path, tmp_path: Path, target: str) -> None:
    link = tmp_path / "link.conf"
    link.symlink_to(target.format(name=tmp_path.name, path=tmp_path))
    assert fault_of(link, ROOT) is None
    file.parent.chmod(0o777)
    assert told(link, ROOT)[1] == f"type `chmod go-w {file.parent}`"


def test_the_folder_of_a_link_counts_where_that_of_its_target_is_right(file: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link.conf").symlink_to(file)
    shared.chmod(0o777)
    assert told(shared / "link.conf", ANN)[1] == f"type `chmod o-w {shared}`"


def test_what_is_no_regular_file_is_never_opened(file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SettingsError, match="not a regular file"):
        read_trusted(tmp_path / "fifo", 1000)
    with pytest.raises(SettingsError, match="not a regular file"):
        read_trusted(Path("/dev/tty"), 1000)
    with pytest.raises(IsADirectoryError):
        read_trusted(tmp_path, 1000)
    with pytest.raises(NotADirectoryError):
        read_trusted(file / "x", 1000)
    with pytest.raises(SettingsError, match="no file can have that name"):
        read_trusted(tmp_path / "a\0b", 1000)


def test_a_ring_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        read_trusted(tmp_path / "a", 1000)


def test_a_path_that_starts_where_one_stands_is_held_to_the_same(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert read_trusted(Path("groups.conf"), 1000) == b"all is well"
    file.parent.chmod(0o777)
    with pytest.raises(SettingsError, match=f"its folder {file.parent}"):
        read_trusted(Path("groups.conf"), 1000)
