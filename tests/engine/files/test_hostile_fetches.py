"""Whatever a node sends when files are fetched, only what was asked for is written, only below the folder, bounded."""

import contextlib
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.model.files import FilesResult

from .fetching import fetched
from .test_hostile_nodes import ENTRY, HELLO, frame, told

OPENED = told(b"o", exists=True, into=True, name="")
ALL = told(b"k", whole=True)
FILE, FOLDER, LINK = 1, 2, 3
NEW_FILE = struct.Struct("!HHqQ")


def entry(name: bytes, kind: int = FILE, size: int = 4, mode: int = 0o644) -> bytes:
    return frame(b"i", ENTRY.pack(kind, len(name), size, 10**18, mode) + name)


def content(data: bytes, size: int | None = None, checksum: bytes | None = None, mode: int = 0o644) -> bytes:
    begun = frame(b"b", NEW_FILE.pack(0, mode, 10**18, len(data) if size is None else size))
    ended = frame(b"e", struct.pack("!I", zlib.crc32(data)) if checksum is None else checksum)
    return begun + frame(b"d", data) + ended


FOLDER_WITH = OPENED + entry(b"", FOLDER, 0, 0o755)


def fetched_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, *, rest: str = "") -> FilesResult:
    """The result where `python3` is a program that sends this after the mark of the hello, whatever it is asked."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/python3"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nmark = '\\x1eCLBF ' + sys.argv[4] + '\\n'\n"
        f"sys.stdout.buffer.write(mark.encode() + {HELLO + answer!r})\nsys.stdout.flush()\n{rest}\n"
        "sys.stdin.buffer.read()\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (tmp_path / "target").mkdir()
    (tmp_path / "victim").write_bytes(b"untouched")
    before = sorted(os.listdir(tmp_path))
    result = fetched(("results",), tmp_path / "target", idle_s=1, most_entries=20_000)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "victim").read_bytes() == b"untouched"
    assert not list(tmp_path.rglob(".clbalance-*"))
    assert all(place.name == "results.here" for place in (tmp_path / "target").iterdir())
    return result


REFUSED = {
    "a name that leads out": FOLDER_WITH + entry(b"../victim") + ALL,
    "a name that leads out further down": FOLDER_WITH + entry(b"a/../../victim") + ALL,
    "an absolute name": FOLDER_WITH + entry(b"/etc/passwd") + ALL,
    "a name twice": FOLDER_WITH + entry(b"a") + entry(b"a") + ALL,
    "itself twice": FOLDER_WITH + entry(b"", FOLDER) + ALL,
    "a file below a file": FOLDER_WITH + entry(b"a") + entry(b"a/b") + ALL,
    "a file in no folder": FOLDER_WITH + entry(b"a/b") + ALL,
    "an empty part": FOLDER_WITH + entry(b"a//b") + ALL,
    "a NUL": FOLDER_WITH + entry(b"a\0b") + ALL,
    "a name that is too long": FOLDER_WITH + entry(b"a" * 300) + ALL,
    "no end of the list": FOLDER_WITH + entry(b"a"),
    "more than the disk has": OPENED + entry(b"", size=1 << 60) + ALL,
    "content that is none": OPENED + entry(b"") + ALL + OPENED + frame(b"z", b""),
    "content that is longer than it says": OPENED + entry(b"") + ALL + OPENED + content(b"x" * 100, size=4),
    "content that is shorter than it says": OPENED + entry(b"") + ALL + OPENED + content(b"x", size=4),
    "content with another checksum": OPENED + entry(b"") + ALL + OPENED + content(b"four", checksum=bytes(4)),
    "content far longer than the list says": OPENED + entry(b"") + ALL + OPENED + content(b"x", size=1 << 40),
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_it_is_a_failure_of_that_node_and_no_file_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    result = fetched_by(tmp_path, monkeypatch, answer)
    assert result.failure is not None
    assert result.sent == 0
    assert not [place for place in (tmp_path / "target").rglob("*") if place.is_file()]


ENDLESS: dict[str, tuple[bytes, str]] = {
    "entries": (
        FOLDER_WITH,
        (
            "import itertools\nfor n in itertools.count(): os.write(1, b''.join("
            f"b'i' + ({ENTRY.size} + 8).to_bytes(4, 'big') + {ENTRY.pack(FILE, 8, 1, 1, 1)!r} + b'%08d' % i"
            f" for i in range(n * 1000, n * 1000 + 1000)))"
        ),
    ),
    "content": (
        OPENED + entry(b"") + ALL + OPENED + frame(b"b", NEW_FILE.pack(0, 0o644, 1, 1 << 20)),
        f"while True: os.write(1, {frame(b'd', bytes(999))!r})",
    ),
    "problems": (
        OPENED + entry(b"") + ALL + OPENED,
        f"while True: os.write(1, {frame(b'x', struct.pack('!H', 1) + b'a?')!r} * 99)",
    ),
}


@pytest.mark.parametrize(("answer", "rest"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, rest: str) -> None:
    assert fetched_by(tmp_path, monkeypatch, answer, rest=rest).failure is not None


def test_setuid_of_a_hostile_node_is_dropped_and_a_link_is_never_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by_it = entry(b"link", LINK) + entry(b"tool", mode=0o7777)
    answer = FOLDER_WITH + told_by_it + ALL + OPENED + content(b"four", mode=0o7777) + ALL
    result = fetched_by(tmp_path, monkeypatch, answer)
    assert result.sent == 1, result
    assert os.listdir(tmp_path / "target/results.here") == ["tool"]
    assert (tmp_path / "target/results.here/tool").stat().st_mode & 0o7777 == 0o777


def test_a_pattern_gets_no_name_that_it_does_not_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = b"../victim"
    answer = OPENED + frame(b"g", struct.pack("!H", len(name)) + name) + ALL
    result = _with_source("*.log", tmp_path, monkeypatch, answer)
    assert "refused" in (result.failure or "")
    name = b"other.txt"
    (tmp_path / "again").mkdir()
    answer = OPENED + frame(b"g", struct.pack("!H", len(name)) + name) + ALL
    result = _with_source("*.log", tmp_path / "again", monkeypatch, answer)
    assert "not asked for" in (result.failure or "")


def _with_source(
    source: str, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, *, sync: bool = False
) -> FilesResult:
    program = folder / "python3"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\nmark = '\\x1eCLBF ' + sys.argv[4] + '\\n'\n"
        f"os.write(1, mark.encode() + {HELLO + answer!r})\nsys.stdin.buffer.read()\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (folder / "target").mkdir(exist_ok=True)
    return fetched((source,), folder / "target", idle_s=1, sync=sync)


@pytest.mark.parametrize(
    "meddle",
    [
        lambda there, out: (there.rename(there.with_name("moved")), there.symlink_to(out)),
        lambda there, out: (there / "sub").mkdir() or (there / "sub").rename(out / "gone"),
    ],
    ids=["the folder becomes a link", "a folder is moved away"],
)
def test_a_target_that_is_exchanged_meanwhile_leads_nowhere_else(
    tmp_path: Path, meddle: Callable[[Path, Path], object]
) -> None:
    source, target, out = tmp_path / "results", tmp_path / "target", tmp_path / "out"
    for folder in (source / "sub", target / "results.here", out):
        folder.mkdir(parents=True)
    (source / "sub/a").write_bytes(b"content")

    def meddled() -> None:
        with contextlib.suppress(OSError):  # the fetch goes on meanwhile, and may have been quicker
            meddle(target / "results.here", out)

    fetched((str(source),), target, at_plan=meddled)
    assert not [place for place in out.rglob("*") if place.is_file()]


def test_sync_deletes_nothing_where_the_node_could_not_list_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = frame(b"i", ENTRY.pack(5, 3, 0, 0, 0) + b"sub" + b"no permission")
    answer = FOLDER_WITH + entry(b"sub", FOLDER, 0, 0o755) + unreadable + ALL
    kept = tmp_path / "target/results.here/sub/kept"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    result = _with_source("results", tmp_path, monkeypatch, answer, sync=True)
    assert "no permission" in (result.failure or "")
    assert kept.exists()
