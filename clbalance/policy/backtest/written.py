"""Choices, and the progress of today's, as they are kept in the state database: JSON."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.backtest.values import FIELDS, Backtest, Choice

PROGRESS = "progress"
"""The name under which the progress is kept. A choice has the name of its subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the choice of a day is. What is spent stays spent, also if everything else begins again."""

    until: Annotated[datetime, msgspec.Meta(tz=True)]
    """The history ends here; the date is that of the choice."""
    spent_s: float = 0.0
    """Of the budget. What is under way counts with its whole share."""
    days: int
    """Of the history that is replayed."""
    digest: str = ""
    """Of the jobs, the nodes, and the policies that the settings name."""
    done: Mapping[str, Backtest] = field(default_factory=dict)
    """The replays that are done, by subject and policy."""
    is_over: bool = False


_Kept = TypeVar("_Kept", Choice, Progress)


def to_text(value: Choice | Progress) -> str:
    """The text to keep."""
    return msgspec.json.encode(value).decode()


def choice_of(text: str | None) -> Choice | None:
    """A kept choice; None if there is none, or no policy of today."""
    choice = _decoded(text, Choice)
    return choice if choice is not None and choice.policy in FIELDS[choice.subject].names else None


def progress_of(text: str | None) -> Progress | None:
    """The kept progress; None if there is none."""
    return _decoded(text, Progress)


def _decoded(text: str | None, kind: type[_Kept]) -> _Kept | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError):  # a damaged database may hold anything
        return None
