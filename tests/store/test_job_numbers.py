"""A job number is never given twice, whatever becomes of the state database; what was lost is told once."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clbalance.errors import StoreError
from clbalance.store.job_numbers import FILE, LostJobs
from clbalance.store.state import SqliteStore

from .build import NOON, asked
from .earlier import make_earlier_state


def submitted(folder: Path, count: int = 1, key: str = "k") -> list[int]:
    """The numbers of so many new jobs."""
    with SqliteStore.open(folder) as store, closing(store.journal()) as journal:
        return [journal.submit(NOON, asked(f"{key}{number}")) for number in range(count)]


def lost(folder: Path) -> LostJobs | None:
    """What the next process to open the database is told."""
    with SqliteStore.open(folder) as store, closing(store.journal()) as journal:
        return journal.lost_jobs()


def remove(folder: Path) -> None:
    for file in folder.glob("state.db*"):
        file.unlink()


def empty(folder: Path) -> None:
    (folder / "state.db").write_bytes(b"")


def move_away_as_told(folder: Path) -> None:
    (folder / "state.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError) as caught:
        SqliteStore.open(folder)
    subprocess.run(["/bin/sh", "-c", caught.value.hint.split("`")[1]], check=True)


LOSSES = [remove, empty, move_away_as_told]


@pytest.mark.parametrize("lose", LOSSES)
def test_numbers_go_on_when_the_database_is_lost_and_that_is_told_once(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    assert submitted(folder, 3) == [1, 2, 3]
    lose(folder)
    assert [lost(folder), lost(folder)] == [LostJobs(1, 3), None]
    assert submitted(folder) == [4]
    assert lost(folder) is None


def test_a_number_is_not_given_twice_before_the_loss_was_told_either(tmp_path: Path) -> None:
    submitted(tmp_path, 3)
    remove(tmp_path)
    assert submitted(tmp_path) == [4]


def test_an_older_copy_has_lost_the_jobs_since_then(tmp_path: Path) -> None:
    submitted(tmp_path, 2, "a")
    backup = tmp_path / "backup"
    shutil.copy(tmp_path / "state.db", backup)
    submitted(tmp_path, 3, "b")
    shutil.copy(backup, tmp_path / "state.db")
    assert [lost(tmp_path), lost(tmp_path)] == [LostJobs(3, 5), None]
    assert submitted(tmp_path, key="c") == [6]


def test_a_first_use_and_a_folder_that_is_gone_have_lost_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    for _ in range(2):
        folder.mkdir()
        assert lost(folder) is None
        assert submitted(folder) == [1]
        shutil.rmtree(folder)


def test_a_database_of_an_earlier_program_gets_a_mark_as_it_is_opened(tmp_path: Path) -> None:
    folder = make_earlier_state(tmp_path / "state")
    with closing(sqlite3.connect(folder / "state.db")) as database:
        (highest,) = database.execute("SELECT max(id) FROM job").fetchone()
    assert lost(folder) is None
    remove(folder)
    assert lost(folder) == LostJobs(1, highest)
    assert submitted(folder) == [highest + 1]


@pytest.mark.parametrize("content", [None, b"", b"\0" * 44, b"9" * 44, b"000000000099 00000000\n" * 2, b"x" * 9999])
def test_a_mark_that_is_missing_or_damaged_is_made_anew_from_the_database(
    tmp_path: Path, content: bytes | None
) -> None:
    submitted(tmp_path, 3)
    good = (tmp_path / FILE).read_bytes()
    if content is None:
        (tmp_path / FILE).unlink()
    else:
        (tmp_path / FILE).write_bytes(content)
    assert lost(tmp_path) is None
    assert (tmp_path / FILE).read_bytes()[: len(good)] == good
    remove(tmp_path)
    assert lost(tmp_path) == LostJobs(1, 3)


def test_every_bit_of_the_mark_may_flip_and_no_number_comes_again(tmp_path: Path) -> None:
    submitted(tmp_path, 3)
    good = (tmp_path / FILE).read_bytes()
    for at in range(len(good)):
        damaged = bytearray(good)
        damaged[at] ^= 1 << at % 8
        (tmp_path / FILE).write_bytes(damaged)
        assert lost(tmp_path) is None
        assert (tmp_path / FILE).read_bytes() == good


@pytest.mark.parametrize("make", ["mkdir", "mkfifo", "link"])
def test_a_mark_that_cannot_be_written_gives_no_number_and_is_named(tmp_path: Path, make: str) -> None:
    path = tmp_path / FILE
    match make:
        case "mkdir":
            path.mkdir()
        case "mkfifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
    assert lost(tmp_path) is None, "who needs no number goes on"
    with pytest.raises(StoreError, match=f"`{path}` cannot be used") as caught:
        submitted(tmp_path)
    assert "`CLBALANCE_STATE_DIR`" in caught.value.hint
    path.rmdir() if make == "mkdir" else path.unlink()
    assert submitted(tmp_path) == [1], "the refusal has used up no number"


KILLED_BEFORE_COMMIT = """
import os, signal, sys
from contextlib import closing
from pathlib import Path
from clbalance.store.job_numbers import JobNumbers
from clbalance.store.state import SqliteStore
from tests.store.build import NOON, asked
class Killed(JobNumbers):
    def take(self):
        super().take()
        os.kill(os.getpid(), signal.SIGKILL)
with SqliteStore.open(Path(sys.argv[1])) as store, closing(store.journal()) as journal:
    journal._numbers = Killed(store._connection, Path(sys.argv[1]) / "state.db")
    journal.submit(NOON, asked("killed"))
"""


def test_a_run_that_is_killed_as_it_takes_its_number_has_lost_no_job(tmp_path: Path) -> None:
    submitted(tmp_path, 2)
    killed = subprocess.run([sys.executable, "-c", KILLED_BEFORE_COMMIT, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert lost(tmp_path) is None
    assert submitted(tmp_path, key="b") == [4], "nobody was told 3, and nobody will be"


def test_a_log_without_its_database_is_not_taken_for_that_of_the_next(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as living, closing(living.journal()) as old:
        assert [old.submit(NOON, asked(f"a{number}")) for number in range(3)] == [1, 2, 3]
        (tmp_path / "state.db").unlink()
        assert lost(tmp_path) == LostJobs(1, 3)
        assert submitted(tmp_path, 2, "b") == [4, 5]
        assert old.record(3) is not None, "a process that has the old one open keeps it"
        assert submitted(tmp_path, 1, "c") == [6]
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT id FROM job ORDER BY id").fetchall() == [(4,), (5,), (6,)]


def test_who_makes_no_number_writes_no_mark(tmp_path: Path) -> None:
    submitted(tmp_path, 2)
    (tmp_path / FILE).chmod(0o400)
    before = (tmp_path / FILE).stat()
    assert lost(tmp_path) is None
    after = (tmp_path / FILE).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_mark_whose_first_write_failed_is_made_as_a_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / FILE).touch(mode=0o600)
    assert submitted(folder) == [1]
    assert (folder / FILE).stat().st_mode & 0o7777 == 0o1600
