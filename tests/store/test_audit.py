"""Who did what, written down line by line; and one at a time."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from clbalance.errors import LockedError, StoreError
from clbalance.store.append_logs import AuditLog
from clbalance.store.single_flight import single_flight


def read_audit(state: Path) -> list[dict[str, object]]:
    """What is still there, the oldest first; what is no JSON object is left out."""
    found: list[dict[str, object]] = []
    for path in (state / "audit.jsonl.1", state / "audit.jsonl"):
        for line in path.read_text().splitlines() if path.exists() else ():
            with suppress(ValueError):
                parsed = json.loads(line)
                found += [parsed] if isinstance(parsed, dict) else []
    return found


def test_what_was_added_is_read_in_its_order(tmp_path: Path) -> None:
    for number in range(3):
        AuditLog(tmp_path).add(what="move", job=number, name="a\nb \udcff")
    assert [(one["job"], one["name"]) for one in read_audit(tmp_path)] == [(n, "a\nb \udcff") for n in range(3)]
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_line_that_is_torn_hides_no_other(tmp_path: Path) -> None:
    AuditLog(tmp_path).add(job=1)
    with (tmp_path / "audit.jsonl").open("a") as file:
        file.write('{"job": 2\n[3]\n')
    AuditLog(tmp_path).add(job=4)
    assert [one["job"] for one in read_audit(tmp_path)] == [1, 4]


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    AuditLog(tmp_path).add(job=1)
    with (tmp_path / "audit.jsonl").open("a") as file:
        file.write('{"job": 2')
    AuditLog(tmp_path).add(job=3)
    assert [one["job"] for one in read_audit(tmp_path)] == [1, 3]


def test_a_full_log_makes_room_and_the_last_one_is_kept(tmp_path: Path) -> None:
    for number in range(4):
        AuditLog(tmp_path, most_bytes=20).add(job=number, padding="x" * 20)
    assert [one["job"] for one in read_audit(tmp_path)] == [2, 3]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "audit.jsonl").symlink_to("target")
    with pytest.raises(StoreError):
        AuditLog(tmp_path).add(job=1)
    assert (tmp_path / "target").read_text() == ""


def test_a_second_one_is_told_who_is_at_work(tmp_path: Path) -> None:
    with (
        single_flight(tmp_path, "rebalance"),
        pytest.raises(LockedError) as caught,
        single_flight(tmp_path, "rebalance"),
    ):
        pass
    assert f"another `clbalance rebalance` is running (pid {os.getpid()}, since " in caught.value.message
    with single_flight(tmp_path, "rebalance"):
        pass


def test_the_lock_goes_with_its_holder_however_he_dies(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from clbalance.store.single_flight import single_flight
with single_flight(pathlib.Path({str(tmp_path)!r}), "rebalance"):
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with single_flight(tmp_path, "rebalance"):
        pass


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"rebalance\.lock"), single_flight(tmp_path / "none", "rebalance"):
        pass
