"""What a shell is sent for a command, and how its output is told from everything else."""

from hypothesis import given
from hypothesis import strategies as st

from clbalance.policy.shell_command import CommandOutput, Ended, Started, command_request

NONCE = "0123456789abcdef" * 2
MARK = NONCE.encode() + b" "


def lines_of(output: bytes, code: int = 0) -> list[bytes]:
    """What the shell prints for a command with this output."""
    return (MARK + b"starts\n" + output + b"\n" + MARK + str(code).encode() + b"\n").split(b"\n")[:-1]


def fed(lines: list[bytes]) -> tuple[list[bytes], Ended | None]:
    collected = CommandOutput(NONCE)
    for line in lines:
        if isinstance(told := collected.feed(line), Ended):
            return collected.lines, told
    return collected.lines, None


def test_output_is_collected_between_the_marks_and_the_code_is_told() -> None:
    assert fed([b"a profile's noise", *lines_of(b"one\ntwo\n", 3)]) == ([b"one", b"two"], Ended(3))


def test_a_last_line_without_a_newline_is_kept_and_no_line_is_added() -> None:
    assert fed(lines_of(b"one\ntwo"))[0] == [b"one", b"two"]
    assert fed(lines_of(b"one\n\n"))[0] == [b"one", b""]
    assert fed(lines_of(b""))[0] == []


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), max_size=8), st.integers(0, 255))
def test_any_output_comes_back_as_it_was(lines: list[bytes], code: int) -> None:
    output = b"".join(line + b"\n" for line in lines)
    assert fed(lines_of(output, code)) == (lines, Ended(code))


def test_marks_of_another_command_and_impossible_codes_are_output() -> None:
    odd = [b"f" * 32 + b" 0", MARK + b"-1", MARK + b"256", MARK + b"0 0", MARK]
    assert fed([MARK + b"0", *lines_of(b"\n".join(odd) + b"\n", 1)]) == (odd, Ended(1))


def test_the_start_is_told_once() -> None:
    collected = CommandOutput(NONCE)
    assert collected.feed(MARK + b"starts") == Started()
    assert collected.feed(MARK + b"starts") is None


@given(st.text(alphabet="'\"\\$`\n;|>{} %a\udcff"))
def test_a_command_travels_whole_as_one_word(command: str) -> None:
    text = command_request(command, NONCE).decode("utf-8", "surrogateescape")
    assert "'" + command.replace("'", "'\"'\"'") + "' </dev/null" in text or command in text
