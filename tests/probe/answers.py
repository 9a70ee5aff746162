"""Answers of nodes as the data files hold them: sections, without the nonce."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from hypothesis import settings

from clbalance.probe.frame import Answered, Frame, Garbled, Section

DATA = Path(__file__).parent / "data"
NONCE = "0123456789abcdef0123456789abcdef"
UNHURRIED = settings(deadline=None)  # the machine may be busy


def heard(lines: Iterable[bytes], nonce: str = NONCE) -> Answered | Garbled | None:
    """What a frame makes of these lines, up to its first verdict."""
    frame = Frame(nonce)
    return next((verdict for line in lines if (verdict := frame.feed(line)) is not None), None)


def framed(body: str, nonce: str = NONCE) -> list[bytes]:
    """The lines that a node would send for the text of a data file."""
    marks = ("+ ", "- ")
    lines = [f"{nonce} {line}" if line.startswith(marks) else line for line in body.splitlines()]
    return [line.encode() for line in [f"{nonce} begin", *lines, f"{nonce} end"]]


def sections(body: str) -> Mapping[str, Section]:
    verdict = heard(framed(body))
    assert isinstance(verdict, Answered)
    return verdict.sections
