"""What counts as an answer, and what is only noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.node import probe_script
from clbalance.probe.frame import MAX_BYTES, MAX_LINES, NONCE_PLACE, Answered, Frame, Garbled, Section, probe_request

from .answers import NONCE, UNHURRIED, framed, heard

BODY = "+ tmp\n/tmp\nsome line\n- tmp 0\n- gpus absent\n+ marks\nmark 1 2 /x\n"
TMP = Section(text="/tmp\nsome line", status="0")


def test_sections_come_with_their_text_and_their_end() -> None:
    verdict = heard(framed(BODY))
    assert isinstance(verdict, Answered)
    assert verdict.sections == {
        "tmp": TMP,
        "gpus": Section(text="", status="absent"),
        "marks": Section(text="mark 1 2 /x", status=None),
    }


@pytest.mark.parametrize(
    "noise",
    [
        b"Welcome to node1! All access is logged.",
        b"\x1b]3008;start=1;user=root\x1b\\",
        "Willkommen, schöner Knoten".encode("utf-16"),
        b"\x00" * 4096,
        b"\xff\xfe\xfd",
        b"a" * 100_000,
        b"begin",
        b"ffffffffffffffffffffffffffffffff begin",
        f" {NONCE} end".encode(),
        f"{NONCE}end".encode(),
        NONCE.encode(),
        f"{NONCE} end of what".encode(),
        f"{NONCE} end".encode(),
        f"{NONCE} - tmp 0".encode(),
    ],
    ids=str,
)
def test_noise_before_the_answer_changes_nothing(noise: bytes) -> None:
    assert heard([noise, *framed(BODY)]) == heard(framed(BODY))


def test_lines_may_end_as_in_dos() -> None:
    assert heard([line + b"\r" for line in framed(BODY)]) == heard(framed(BODY))


def test_noise_between_sections_belongs_to_none() -> None:
    lines = framed(BODY)
    assert heard([lines[0], b"noise", *lines[1:5], b"noise", *lines[5:]]) == heard(framed(BODY))


def test_an_answer_is_not_complete_before_its_end() -> None:
    assert heard(framed(BODY)[:-1]) is None


def test_another_requests_answer_is_not_ours() -> None:
    assert heard(framed(BODY, nonce="f" * 32)) is None


def test_a_text_that_is_not_utf8_is_read_with_replacements() -> None:
    lines = framed("+ tmp\nX\n- tmp 0\n")
    verdict = heard([line.replace(b"X", b"\xff\xfe") for line in lines])
    assert isinstance(verdict, Answered)
    assert verdict.sections["tmp"].text == "��"


@pytest.mark.parametrize(
    ("line", "times"), [(b"x" * (MAX_BYTES + 1), 1), (b"", MAX_LINES + 1), (b"x" * 1000, 3000)], ids=str
)
@pytest.mark.parametrize("begun", [False, True])
def test_a_node_that_talks_without_end_is_garbled(line: bytes, times: int, begun: bool) -> None:
    verdict = heard([*framed(BODY)[: 2 if begun else 0], *[line] * times])
    assert isinstance(verdict, Garbled)
    assert "2 MiB" in verdict.reason


@UNHURRIED
@given(st.lists(st.binary(max_size=40) | st.sampled_from(framed(BODY)), max_size=60))
def test_no_bytes_upset_a_frame(lines: list[bytes]) -> None:
    verdict = heard(lines)
    assert verdict is None or isinstance(verdict, Answered)


@UNHURRIED
@given(st.lists(st.binary(max_size=40).filter(lambda line: NONCE.encode() not in line), max_size=60))
def test_without_the_nonce_there_is_no_answer(lines: list[bytes]) -> None:
    assert heard(lines) is None


@UNHURRIED
@given(st.text(alphabet="0123456789abcdef +-\n", max_size=400))
def test_content_cannot_pose_as_an_answer(content: str) -> None:
    lines = [f"/x:{line}".encode() for line in f"{content}\n{NONCE} - tmp 0\n{NONCE} end".split("\n")]
    verdict = heard([*framed(BODY)[:2], *lines])
    assert verdict is None


def test_the_request_carries_the_nonce_and_no_comments() -> None:
    request = probe_request(probe_script(), NONCE).decode()
    assert NONCE in request
    assert NONCE_PLACE not in request
    assert not [line for line in request.splitlines() if line.startswith(("#", " ", "\t")) or not line]
    assert request.endswith("\n")


@pytest.mark.parametrize(
    "nonce", ["", "short", "0" * 31, "0" * 33, "g" * 32, "A" * 32, "0" * 31 + "\n", "$(id)" + "0" * 27]
)
def test_only_a_nonce_is_put_into_a_script(nonce: str) -> None:
    with pytest.raises(ValueError, match="128 random bits"):
        probe_request("m=@NONCE@", nonce)


def test_frames_share_nothing() -> None:
    one, two = Frame(NONCE), Frame(NONCE)
    one.feed(framed(BODY)[0])
    assert two.feed(framed(BODY)[-1]) is None
