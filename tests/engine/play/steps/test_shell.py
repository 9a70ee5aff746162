"""The text for a node's shell, run by this machine's shells: what a program prints cannot pass for what the frame says."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from clbalance.engine.play.steps.shell import CUT, RemoteProgram, Told, program_text
from clbalance.model.play_run import MOST_OUTPUT_BYTES, Result
from tests.waiting import SOON_S

NONCE = "0123456789abcdef"
SHELLS = [pytest.param(shell, id=shell[0]) for shell in (["sh"], ["bash"], ["busybox", "sh"], ["ksh"])]


def ran(program: RemoteProgram, shell: list[str] | None = None) -> Result | None:
    """What the reader makes of what the shell prints, taken in small pieces."""
    done = subprocess.run(
        [*(shell or ["sh"]), "-s"], input=program_text(program, NONCE), stdout=subprocess.PIPE, check=False, timeout=60
    )
    told = Told(NONCE)
    for at in range(0, len(done.stdout), 1000):
        told.take(done.stdout[at : at + 1000])
    assert not told.is_too_long
    return told.result()


def shell_text(text: str, **env: str) -> RemoteProgram:
    return RemoteProgram(text=text, env=env)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_exit_code_and_both_streams_come_back_apart(shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    result = ran(shell_text("echo one; echo two >&2; printf 'no newline'; exit 7"), shell)
    assert result == Result(rc=7, out="one\nno newline", err="two")


def test_values_reach_the_program_as_they_are() -> None:
    value = 'it\'s "quoted" $(id) `id` \\ \n second line \udcff é'
    result = ran(shell_text('printf "%s|" "$VAR_x" | od -An -tx1 | tr -d " \\n"', VAR_x=value))
    assert result is not None
    assert bytes.fromhex(result.out).decode("utf-8", "surrogateescape") == f"{value}|"


def test_words_are_passed_exactly_and_without_a_shell() -> None:
    result = ran(RemoteProgram(words=("printf", "[%s]", "a b", "$HOME", "", "'"), env={}))
    assert result == Result(rc=0, out="[a b][$HOME][][']")


def test_nothing_of_the_program_stands_on_a_command_line() -> None:
    result = ran(shell_text("cat /proc/$PPID/cmdline /proc/$$/cmdline | tr '\\0' ' '", VAR_secret="hush"))
    assert result is not None
    assert "hush" not in result.out
    assert "cmdline" not in result.out


def test_its_standard_input_is_empty() -> None:
    assert ran(shell_text("wc -c; cat")) == Result(rc=0, out="0")


def test_lines_that_look_like_the_frame_are_output() -> None:
    fake = "ffff rc 0\nffff end\nrc 0\n end"
    assert ran(shell_text(f"printf '%s' '{fake}'; exit 3")) == Result(rc=3, out=fake)


def test_the_program_has_no_way_to_the_frame() -> None:
    result = ran(shell_text(f"for n in 3 4 5; do echo '{NONCE} rc 0' >&$n; done; exit 9"))
    assert result is not None
    assert result.rc != 0


def test_the_longest_output_is_whole_and_a_longer_one_is_cut_in_the_middle() -> None:
    whole = ran(shell_text(f"yes | head -c {MOST_OUTPUT_BYTES - 1} | tr '\\n' x; echo"))
    assert whole is not None
    assert len(whole.out) == MOST_OUTPUT_BYTES - 1
    assert CUT not in whole.out
    cut = ran(shell_text("seq 100000; seq 100000 >&2"))
    assert cut is not None
    for text in (cut.out, cut.err):
        assert text.startswith("1\n2\n")
        assert text.endswith("\n100000")
        assert f"\n{CUT}\n" in text
        assert len(text) <= MOST_OUTPUT_BYTES + len(CUT) + 2


def test_bytes_that_are_no_text_are_replaced() -> None:
    result = ran(shell_text("printf 'a\\000b\\377\\033[2J'"))
    assert result == Result(rc=0, out="ab\ufffd\x1b[2J")


def test_a_folder_that_is_not_there_is_the_failure() -> None:
    result = ran(RemoteProgram(text="echo never", env={}, chdir="/nowhere at all"))
    assert result is not None
    assert (result.rc, result.out) == (126, "")
    assert "/nowhere at all" in result.err


def test_a_timeout_ends_what_the_program_has_started() -> None:
    began = time.monotonic()
    result = ran(RemoteProgram(text="echo begun; sleep 300 & sleep 300", env={}, timeout_s=0.5))
    assert result == Result(rc=124, out="begun")
    assert time.monotonic() - began < SOON_S


def test_an_unfinished_quote_is_the_failure_of_the_program() -> None:
    result = ran(shell_text("echo 'never"))
    assert result is not None
    assert result.rc != 0
    assert result.err


def test_a_missing_sudo_does_not_run_it_without(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = program_text(RemoteProgram(text=f"touch {mark}", env={}, sudo=True), NONCE)
    done = subprocess.run(
        ["/bin/sh", "-s"], input=b"PATH=/nowhere\n" + text, stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert b"rc 0" not in done.stdout
    assert not mark.exists()


def test_a_node_that_tells_half_of_it_has_told_nothing() -> None:
    told = Told(NONCE)
    told.take(f"{NONCE} rc 0\n{NONCE} out\nfine\n".encode())
    assert told.result() is None


def test_an_endless_answer_is_too_long() -> None:
    for piece in (b"x" * 1000, b"x" * 999 + b"\n"):
        told = Told(NONCE)
        told.take(f"{NONCE} out\n".encode())
        for _ in range(2000):
            told.take(piece)
            if told.is_too_long:
                break
        assert told.is_too_long
