"""The database file: shared by processes, durable, versioned, and clear about what is wrong with it."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from clbalance.errors import StoreError
from clbalance.model import NodeName, Request
from clbalance.model.job import JobSpec, Script, Submitted
from clbalance.store.database import store_error
from clbalance.store.job_numbers import FILE
from clbalance.store.job_rows import to_text
from clbalance.store.readings import SLOTS
from clbalance.store.schema import MIGRATIONS
from clbalance.store.state import DATABASE, SqliteStore

from .build import NOON, node, reading, submit

A = node("a")

# Told that others hold the lock for long, as on a busy machine, a process comes again.
GIVE_NUMBERS = """
import sys
from contextlib import closing
from pathlib import Path
from clbalance.errors import StoreError
from clbalance.store.state import SqliteStore
from tests.store.build import NOON, asked
def at_last(ask):
    while True:
        try:
            return ask()
        except StoreError as error:
            if "was locked by another process" not in error.message:
                raise
directory, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with at_last(lambda: SqliteStore.open(directory)) as store, closing(store.journal()) as journal:
    for number in range(count):
        print(at_last(lambda: journal.submit(NOON, asked(f"{who}.{number}"))), flush=True)
"""


def numbering_process(directory: Path, who: str, count: int) -> subprocess.Popen[str]:
    """A process that stands ready, and at `go` prints `count` job numbers."""
    return subprocess.Popen(
        [sys.executable, "-c", GIVE_NUMBERS, str(directory), who, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(*processes: subprocess.Popen[str]) -> None:
    """Start them all at once, as far as two cores can."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        store.remember(NOON, {A: reading()})
        first = submit(store, "k1")
    with SqliteStore.open(tmp_path) as store:
        assert store.last_readings([A])[A].at == NOON
        assert submit(store, "k2") > first


def test_eight_processes_on_a_fresh_folder_never_share_a_number(tmp_path: Path) -> None:
    # So few each that a slow disk has written all of them before one has waited for the lock too long.
    processes = [numbering_process(tmp_path, f"p{number}", 10) for number in range(8)]
    go(*processes)
    numbers: list[str] = []
    for process in processes:
        said, _ = process.communicate()
        assert process.returncode == 0
        numbers += said.split()
    assert len(numbers) == len(set(numbers)) == 80


def test_a_number_that_was_told_survives_a_kill(tmp_path: Path) -> None:
    parts: list[int] = []
    for life in range(3):
        process = numbering_process(tmp_path, f"life{life}", 100_000)
        go(process)
        assert process.stdin is not None
        assert process.stdout is not None
        parts += [int(process.stdout.readline()) for _ in range(30 + life)]
        process.send_signal(signal.SIGKILL)
        parts += [int(line) for line in process.stdout.read().splitlines()]
        process.stdin.close()
        process.stdout.close()
        assert process.wait(timeout=120) == -signal.SIGKILL
    with SqliteStore.open(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        kept = {number for (number,) in database.execute("SELECT id FROM job")}
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(parts) == len(set(parts))
    assert set(parts) <= kept


def test_the_database_is_private_and_left_alone_by_tidying(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path).close()
    assert (tmp_path / "state.db").stat().st_mode & 0o7777 == 0o1600


def test_commits_are_synchronous_and_readers_do_not_wait(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as writer, SqliteStore.open(tmp_path) as reader:
        writer.remember(NOON, {A: reading()})
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            other.execute("BEGIN IMMEDIATE")
            assert A in reader.last_readings([A])
            other.execute("ROLLBACK")
        assert writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_locked_database_is_waited_for_and_then_told(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        store._connection.execute("PRAGMA busy_timeout = 10")  # instead of seconds of waiting
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="was locked by another process") as caught:
                submit(store, "key")
            other.execute("ROLLBACK")
        assert "`fuser -v " in caught.value.hint
        assert submit(store, "key") == 1


def test_a_reader_at_the_first_opening_costs_the_write_ahead_log_and_nothing_else(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = DELETE")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM job").fetchall()
        with SqliteStore.open(tmp_path) as store:
            reader.execute("ROLLBACK")
            assert submit(store, "key") == 1
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    with SqliteStore.open(tmp_path) as store:
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# -- versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_every_older_schema_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as database:
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {version}")
    with SqliteStore.open(tmp_path) as store:
        assert submit(store, "key") == 1


_SCRIPT = Script(name="train.sh", content=b"#!/bin/sh\n" + b"\xff" * 100_000, args=("--fast",))
_SUBMITTED = Submitted(
    job=JobSpec(id=0, key="k", name="train", payload=_SCRIPT, chdir="/", chdir_explicit=False, umask=0o22),
    request=Request(pick=1),
    candidates=(NodeName("n1"),),
)


def test_a_job_from_before_scripts_lay_apart_can_still_be_looked_at_and_started(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as database:
        before = next(at for at, made in enumerate(MIGRATIONS) if "CREATE TABLE script" in made[0])
        for statement in itertools.chain(*MIGRATIONS[:before]):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {before}")
        database.execute(
            "INSERT INTO job (key, name, state, submitted_us, submitted) VALUES ('k', 'train', 'PENDING', 0, ?)",
            (to_text(_SUBMITTED),),
        )
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as journal:
        message = journal.submitted(1)
        assert message is not None
        assert message == replace(_SUBMITTED, job=replace(_SUBMITTED.job, payload=replace(_SCRIPT, content=None)))
        assert journal.script(1) == _SCRIPT.content


def test_who_looks_at_a_job_reads_nothing_of_its_script(tmp_path: Path) -> None:
    """Its row is small, and the script can be gone."""
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as journal:
        assert journal.submit(NOON, _SUBMITTED) == 1
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as database:
        (length,) = database.execute("SELECT length(submitted) FROM job").fetchone()
        assert length < 10_000
        database.execute("UPDATE script SET content = 'nonsense'")
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as journal:
        assert [record.id for record in journal.records()] == [1]
        assert journal.submitted(1) is not None
        assert journal.script(1) is None


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="has schema 99") as caught:
        SqliteStore.open(tmp_path)
    assert "use the newer clbalance" in caught.value.hint
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("CREATE TABLE reading (mine)")
    with pytest.raises(StoreError, match="table reading already exists"):
        SqliteStore.open(tmp_path)
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("reading",)]


# -- damage ---------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"#!/bin/sh\n" * 200)
    with pytest.raises(StoreError, match="is damaged: file is not a database") as caught:
        SqliteStore.open(tmp_path)
    away = f"{tmp_path}.damaged"
    assert caught.value.hint.startswith(f"`mkdir -p {away} && mv {tmp_path}/state.db* {away}` and run it again")


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened for writing"):
        SqliteStore.open(tmp_path)


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened for writing"):
        SqliteStore.open(tmp_path / "gone")


READ_ONLY = """
import os, sys
from pathlib import Path
from clbalance.errors import StoreError
from clbalance.model.job import JobSpec, Script, Submitted
from clbalance.model import NodeName, Request
from clbalance.store.state import SqliteStore
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for folder in sys.argv[1:]:
    try:
        SqliteStore.open(Path(folder))
    except StoreError as error:
        print(error.message)
"""


def test_a_folder_that_may_not_be_written_is_told() -> None:
    with TemporaryDirectory() as reachable:  # pytest's own are closed to other users
        empty, used = Path(reachable, "empty"), Path(reachable, "used")
        for folder in (empty, used):
            folder.mkdir()
        SqliteStore.open(used).close()
        (used / "state.db").chmod(0o444)
        for folder in (empty, used, Path(reachable)):
            folder.chmod(0o555)
        said = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(empty), str(used)], capture_output=True, text=True, check=True
        ).stdout
        for folder in (Path(reachable), empty, used):
            folder.chmod(0o755)
    assert said.count("cannot be opened for writing") == 2


def failing(statements: list[str]) -> sqlite3.Error:
    """What SQLite raises on the last of `statements`."""
    *before, last = statements
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        for statement in before:
            database.execute(statement)
        with pytest.raises(sqlite3.Error) as caught:
            database.execute(last)
    return caught.value


def coded(code: int, text: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        pytest.param(
            failing(["PRAGMA max_page_count = 2", "CREATE TABLE a (b)", "CREATE TABLE c (d)"]),
            "no space left",
            "`df '/s p'`",
            id="a full disk",
        ),
        pytest.param(
            coded(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"), "fails: disk I/O error", "dmesg", id="a failing disk"
        ),
        pytest.param(
            coded(sqlite3.SQLITE_READONLY_DBMOVED, "attempt to write a readonly database"),
            "cannot be opened for writing",
            "`ls -la '/s p'`",
            id="a file system that has become read-only",
        ),
        pytest.param(
            failing(["SELECT nonsense"]), "cannot be used: no such column", "elsewhere|another", id="the rest"
        ),
        pytest.param(
            sqlite3.ProgrammingError("closed"), "cannot be used: closed", "another", id="an error without code"
        ),
    ],
)
def test_an_error_is_told_with_what_to_type(error: sqlite3.Error, message: str, hint: str) -> None:
    text = store_error(error, Path("/s p/state.db"))
    assert message in text.message
    assert any(words in text.hint for words in hint.split("|"))


def test_a_damaged_schema_that_cannot_even_be_quoted_is_told(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path).close()
    database = tmp_path / "state.db"
    database.write_bytes(database.read_bytes().replace(b"CREATE TABLE job", b"CREATE \xb7ABLE job"))
    with pytest.raises(StoreError, match="is damaged"):
        SqliteStore.open(tmp_path)


def use(directory: Path) -> StoreError | None:
    try:
        with SqliteStore.open(directory) as store:
            store.last_readings([node(f"n{number}") for number in range(40)])
            store.remember(NOON, {A: reading()})
            submit(store, os.urandom(16).hex())
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_told_or_used_and_never_a_crash(tmp_path: Path, seed: int) -> None:
    with SqliteStore.open(tmp_path) as store:
        store.remember(NOON, {node(f"n{number}"): reading() for number in range(40)})
        submit(store, "key")
    rng = random.Random(seed)
    whole = (tmp_path / "state.db").read_bytes()
    for _ in range(8):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 4, 64])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        del damaged[rng.choice([len(whole), rng.randrange(len(whole))]) :]
        for leftover in tmp_path.glob("state.db*"):
            leftover.unlink()
        (tmp_path / "state.db").write_bytes(damaged)
        error = use(tmp_path)
        assert error is None or error.hint


def test_a_log_torn_at_any_place_loses_its_last_commit_and_no_other(tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.mkdir()
    with SqliteStore.open(live) as store:
        submit(store, "first")
        database, log = (live / "state.db").read_bytes(), (live / "state.db-wal").read_bytes()
        submit(store, "second")
        longer = (live / "state.db-wal").read_bytes()
    torn = tmp_path / "torn"
    torn.mkdir()
    for cut in range(len(log), len(longer), 997):
        (torn / "state.db").write_bytes(database)
        (torn / "state.db-wal").write_bytes(longer[:cut])
        with SqliteStore.open(torn) as store:
            assert submit(store, "third") == 2
        for leftover in (*torn.glob("state.db*"), torn / FILE):
            leftover.unlink()


@pytest.mark.parametrize("message", ["", "[1]", "{", '{"ut":"x"}', '{"ut":NaN}', '{"ut":true}', "[" * 20_000, "{\n}"])
def test_nonsense_among_the_looks_is_passed_over(tmp_path: Path, message: str) -> None:
    with SqliteStore.open(tmp_path) as store:
        for minutes in (0, 5):
            at = NOON + timedelta(minutes=minutes)
            store.remember(at, {A: reading()}, {A: {"ut": 1.0}})
        with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
            database.execute("UPDATE look SET told = ? WHERE at_s = (SELECT min(at_s) FROM look)", (message,))
            database.commit()
        assert store.trends([A], NOON + timedelta(minutes=6))[A]["ut"].count == 1


def test_what_is_gone_for_a_day_is_cleared_away(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        store.remember(NOON, {node("gone"): reading()}, {node("gone"): {"ut": 1.0}})
        for minutes in range(0, 5 * SLOTS, 5):
            store.remember(NOON + timedelta(days=2, minutes=minutes), {A: reading()}, {A: {"ut": 1.0}})
        with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
            assert database.execute("SELECT DISTINCT node FROM look").fetchall() == [("a",)]
