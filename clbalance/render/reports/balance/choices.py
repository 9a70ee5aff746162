"""Policies that were chosen, or would be: the figures of each policy, and why."""

from collections.abc import Iterator, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.backtest.values import Choice, Evidence, Subject
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, escape_line
from clbalance.units import counted

CHOICE_FIELDS = ("subject", "policy", "verdict", "slowdown", "worst", "started", "why")
"""The fields in plain text; the verdict is `chosen`, `passes` or `out`. A choice without figures has one line."""

_NAMES: Final[dict[Subject, str]] = {"queue": "waiting list", "placement": "placement"}
_COLUMNS = (
    Column(heading="FOR"),
    Column(heading="POLICY"),
    Column(heading="VERDICT"),
    Column(heading="SLOWDOWN", align="right"),
    Column(heading="WORST", align="right"),
    Column(heading="STARTED", align="right"),
    Column(heading="WHY"),
)


@dataclass(frozen=True, slots=True)
class ChoicesReport(Report):
    """What would be chosen now."""

    choices: Sequence[Choice]

    def human(self, display: Display) -> str:
        """The figures, if there are any, and a sentence for each choice."""
        rows = tuple(_row(choice, one) for choice in self.choices for one in choice.evidence)
        table = display.table(Table(columns=_COLUMNS, rows=rows), last="fold") if rows else ""
        return table + "".join(f"{escape_line(choice_line(choice))}\n" for choice in self.choices)

    def plain(self) -> str:
        return plain_lines(fields for choice in self.choices for fields in _fields(choice))

    def json(self) -> dict[str, Json]:
        return {"choices": [choice_document(choice) for choice in self.choices]}


def choice_line(choice: Choice) -> str:
    """One choice in a line, with its reason."""
    return f"{_NAMES[choice.subject]}: {_what_and_why(choice, '')}"


def line_of_today(choice: Choice) -> str:
    """The same for the choice that is in use now, beside what was decided earlier, perhaps by another policy."""
    return f"{_NAMES[choice.subject]} now: {_what_and_why(choice, f', chosen {choice.at:%Y-%m-%d}')}"


def _what_and_why(choice: Choice, when: str) -> str:
    instead = "" if choice.policy == choice.before else f" instead of {choice.before}"
    of = f"; jobs of {counted(choice.days, 'day')}" if choice.days else ""
    return f"{choice.policy}{instead}{when} ({choice.reason}{of})"


def chosen_value(choice: Choice) -> dict[str, Json]:
    """One choice in short: without the figures of the policies, and without what is not known."""
    document = choice_document(choice)
    names = ("policy", "at", "margin_pct", "noise_pct", "reason")
    return {name: value for name in names if (value := document[name]) is not None}


def choice_document(choice: Choice) -> dict[str, Json]:
    """One choice as JSON."""
    return {
        "subject": choice.subject,
        "policy": choice.policy,
        "before": choice.before,
        "at": choice.at.isoformat(timespec="seconds"),
        "reason": choice.reason,
        "days": choice.days,
        "jobs": choice.jobs,
        "margin_pct": None if choice.margin_pct is None else round(choice.margin_pct, 2),
        "noise_pct": None if choice.noise_pct is None else round(choice.noise_pct, 2),
        "policies": [
            {
                "policy": one.policy,
                "verdict": _verdict(choice, one),
                "slowdown": one.slowdown,
                "worst": one.worst,
                "started": one.started,
                "why": one.out or None,
            }
            for one in choice.evidence
        ],
    }


def _verdict(choice: Choice, one: Evidence) -> str:
    if one.policy == choice.policy:
        return "chosen"
    return "out" if one.out else "passes"


def _row(choice: Choice, one: Evidence) -> tuple[Cell, ...]:
    verdict = _verdict(choice, one)
    tone = {"chosen": Tone.GOOD, "out": Tone.WARN}.get(verdict, Tone.PLAIN)
    slowdown = DASH if one.slowdown is None else f"{one.slowdown:.2f}"
    return (
        Cell(_NAMES[choice.subject]),
        Cell(one.policy),
        Cell(verdict, tone),
        Cell(slowdown),
        Cell(f"{one.worst:.1f}"),
        Cell(str(one.started)),
        Cell(one.out),
    )


def _fields(choice: Choice) -> Iterator[tuple[Json, ...]]:
    if not choice.evidence:
        yield choice.subject, choice.policy, "chosen", None, None, None, choice.reason
    for one in choice.evidence:
        verdict = _verdict(choice, one)
        why = choice.reason if verdict == "chosen" else one.out
        yield choice.subject, one.policy, verdict, one.slowdown, one.worst, one.started, why
