"""Whatever a node sends in place of the file program's answers, the copy to it ends, with a reason, in bounded memory."""

import json
import os
import struct
import sys
from pathlib import Path

import pytest

from clbalance.model.files import FilesResult

from .copying import copied


def frame(letter: bytes, content: bytes) -> bytes:
    return struct.pack("!cI", letter, len(content)) + content


def told(letter: bytes, **fields: object) -> bytes:
    return frame(letter, json.dumps(fields).encode())


HELLO = told(b"h", protocol=1, python="3.11", uid=0)
OPENED = told(b"o", exists=True, into=True, name="")
ENTRY = struct.Struct("!BHQqH")
ANSWERS = {
    "text in place of frames": b"Welcome to the node, have a nice day\n" * 10,
    "a frame that is far too long": frame(b"h", b"")[:1] + b"\xff\xff\xff\xff",
    "a hello of another protocol": told(b"h", protocol=99, uid=0),
    "a hello that is no JSON": frame(b"h", b"\xff{"),
    "a hello that is a number": frame(b"h", b"1"),
    "an unasked answer": HELLO + told(b"c", done=1),
    "no name of what it opened": HELLO + told(b"o", exists=True, into=False, name=[1]),
    "an entry that is too short": HELLO + OPENED + frame(b"i", b"\1"),
    "an entry with a wrong length": HELLO + OPENED + frame(b"i", ENTRY.pack(1, 999, 1, 1, 1) + b"a"),
    "an entry of no kind": HELLO + OPENED + frame(b"i", ENTRY.pack(77, 1, 1, 1, 1) + b"a"),
    "an entry of another file": HELLO + OPENED + frame(b"i", ENTRY.pack(1, 7, 1, 1, 1) + b"../../x"),
    "a problem with a wrong length": HELLO + OPENED + frame(b"x", b"\xff\xff?"),
    "an end": HELLO + OPENED,
}


def copied_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> FilesResult:
    """The result where `python3` is a program that says this after the mark of the hello."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/python3"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nmark = '\\x1eCLBF ' + sys.argv[4] + '\\n'\n{answer}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (tmp_path / "a").write_bytes(b"content")
    result = copied(tmp_path / "a", tmp_path / "there", idle_s=1)
    assert not (tmp_path / "there").exists()
    return result


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_nonsense_is_a_failure_of_that_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    result = copied_by(tmp_path, monkeypatch, f"os.write(1, mark.encode() + {answer!r})")
    assert result.failure is not None
    assert (result.sent, result.deleted) == (0, 0)


SPEAKS = f"os.write(1, mark.encode() + {HELLO + OPENED!r})"
ENDLESS = {
    "noise": ("while True: os.write(1, b'noise' * 1000)", "more than 1 MiB before its hello"),
    "silence": (f"{SPEAKS}; time.sleep(60)", "nothing came for 1 s"),
    "nonsense": (f"{SPEAKS}\nwhile True: os.write(1, {frame(b'x', b'')!r} * 999)", "a frame without a name"),
    "problems": (
        f"{SPEAKS}\nwhile True: os.write(1, {frame(b'x', struct.pack('!H', 1) + b'a?')!r} * 999)",
        "more than 10,000 files failed",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, reason: str) -> None:
    assert reason in (copied_by(tmp_path, monkeypatch, answer).failure or "")
