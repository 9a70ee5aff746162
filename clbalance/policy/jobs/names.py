"""What a word means where a job is named: a number, a range, `last`, an owner or key, or a name.

And which names a job may have: a name that reads as one of the others would mean other jobs. Pure.
"""

import re

from clbalance.policy.jobs.leased import job_name

LAST = "last"
"""The job that was submitted last from this host."""

_NUMBER = re.compile(r"[0-9]+")
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
_MOST = 10**18
"""No job has such a number: SQLite counts to 2**63."""


def numbers_meant(word: str) -> tuple[int, int] | None:
    """The first and the last number that `word` means (`17`, `3-7`); None if it is neither number nor range."""
    if _NUMBER.fullmatch(word):
        return _bounded(word), _bounded(word)
    span = _RANGE.fullmatch(word)
    return None if span is None else (_bounded(span[1]), _bounded(span[2]))


def _bounded(digits: str) -> int:
    return _MOST if len(digits.lstrip("0")) > 18 else int(digits)


def why_no_name(name: str) -> str:
    """Why a job cannot have that name; empty if it can."""
    if name == LAST:
        return "it means the job that was submitted last"
    if numbers_meant(name) is not None:
        return "it means jobs by their numbers"
    if job_name(name) is not None:
        return "it means a job by its owner or key"
    if name.startswith("-"):
        return "it would be read as an option"
    return ""


def default_name(file: str) -> str:
    """The name of a job after its script or program; `job-17` for one that is called `17`."""
    return f"job-{file.lstrip('-') or 'script'}".replace("/", "-") if why_no_name(file) else file
