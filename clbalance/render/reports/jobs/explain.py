"""Why these nodes and not the others: for a plan just made (`--explain`), and for each attempt of a job (`explain`).

It shows the candidates in order, their terms or reasons, and the distance to the best node that was not chosen.
"""

from collections.abc import Iterable, Iterator, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan, Score, Term, Unfit
from clbalance.model.job_record import Placed
from clbalance.nodeset import fold
from clbalance.policy.backtest.values import Choice
from clbalance.policy.placement.filters import NOT_ASKED
from clbalance.render.jobs.limits import JobLimits, limits_document, limits_lines
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.reports.balance.choices import choice_document, line_of_today
from clbalance.render.reports.nodes.pick import plan_document
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, escape_line

EXPLAIN_FIELDS = ("name", "verdict", "score", "why")
"""The fields in plain text; the verdict is `chosen`, `fits`, `unfit`, `not-asked` or `set-aside` (by `--force`). For a
job, the attempt is added as the last."""

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="VERDICT"),
    Column(heading="SCORE", align="right"),
    Column(heading="WHY"),
)
_TIE = 1e-9
"""Points; placement itself takes scores with a smaller difference for equal."""


@dataclass(frozen=True, slots=True)
class PlacementReport(Report):
    """The explanation of one plan, shown in addition to its chosen nodes."""

    plan: Plan

    def human(self, display: Display) -> str:
        """A row for every node of the plan: nodes that fit, best first, then unfit ones. Those that were not asked are
        folded, by their reasons.
        """
        chosen = frozenset(self.plan.nodes)
        rows = (
            *(_ranked(score, chosen=score.node in chosen) for score in self.plan.ranked),
            *(_unfit(unfit) for unfit in self.plan.unfit if not _is_unasked(unfit)),
            *_unasked(self.plan.unfit),
        )
        table = display.table(Table(columns=_COLUMNS, rows=rows), last="fold")
        lines = [f"ignored because of --force on {one.node}: {one.phrase}" for one in self.plan.set_aside]
        lines += _unknown_terms(self.plan.ranked)
        if close := runner_up(self.plan):
            lines.append(close)
        if unasked := sum(map(_is_unasked, self.plan.unfit)):
            lines.append(f"{unasked} of the nodes were not asked, for a few were enough: `--ask-all` asks all")
        return table + "".join(f"{escape_line(line)}\n" for line in lines)

    def plain(self) -> str:
        """The `EXPLAIN_FIELDS` of each node."""
        return plain_lines(_fields(self.plan))

    def json(self) -> None:
        """Nothing: the JSON of the plan has it all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainReport(Report):
    """The plans of all attempts of a job in order, with the refusals at admission, and the limits of the job."""

    placed: Sequence[Placed]
    limits: JobLimits
    choices: Sequence[Choice] = ()
    """The policies that are in use now for `auto`."""

    def human(self, display: Display) -> str:
        tables = [PlacementReport(one.plan).human(display) for one in self.placed]
        if len(tables) > 1:
            headings = [escape_line(_heading(one)) for one in self.placed]
            tables = [f"{heading}\n{table}" for heading, table in zip(headings, tables, strict=True)]
        chosen = map(line_of_today, self.choices)
        lines = "".join(f"{escape_line(line)}\n" for line in (*limits_lines(self.limits), *chosen))
        return "\n".join([*tables, lines] if lines else tables)

    def plain(self) -> str:
        rows = [(*fields, one.attempt) for one in self.placed for fields in _fields(one.plan)]
        return plain_lines([*rows, *_limits_rows(self.limits), *map(_choice_row, self.choices)])

    def json(self) -> dict[str, Json]:
        attempts = [{"attempt": one.attempt, **plan_document(one.plan, fold(one.plan.nodes))} for one in self.placed]
        chosen: dict[str, Json] = {"choices": list(map(choice_document, self.choices))} if self.choices else {}
        return {"attempts": attempts, **limits_document(self.limits), **chosen}


def runner_up(plan: Plan) -> str:
    """The best node that was not chosen, and its distance in points; empty if there is none."""
    chosen = frozenset(plan.nodes)
    behind = next((score for score in plan.ranked if score.node not in chosen), None)
    last = min((score for score in plan.ranked if score.node in chosen), key=lambda score: score.total, default=None)
    if behind is None or last is None:
        return ""
    margin = last.total - behind.total
    if abs(margin) < _TIE:
        return f"runner-up: {behind.node}, as good as {last.node}: chosen at random"
    side = "behind" if margin > 0 else "ahead of"
    return f"runner-up: {behind.node}, {abs(margin):.2g} points {side} {last.node}"


def _heading(placed: Placed) -> str:
    """The attempt and its nodes."""
    chosen = fold(placed.plan.nodes)
    return f"attempt {placed.attempt} on {chosen}" if chosen else f"attempt {placed.attempt}: not placed"


def _ranked(score: Score, *, chosen: bool) -> tuple[Cell, ...]:
    reason = ", ".join(map(_term, score.terms))
    verdict = Cell("chosen", Tone.GOOD) if chosen else Cell("fits")
    return Cell(score.node), verdict, Cell(f"{score.total:.1f}"), Cell(reason)


def _term(term: Term) -> str:
    return f"{term.name} {term.points:.1f}x{term.weight:g} ({'unknown' if term.unknown else term.source})"


def _unknown_terms(ranked: Iterable[Score]) -> list[str]:
    """Each unknown term once, with its reason and its nodes: it is often the same for all of them."""
    nodes: dict[tuple[str, str], list[NodeName]] = {}
    for score in ranked:
        for term in score.terms:
            if term.unknown:
                nodes.setdefault((term.name, term.source), []).append(score.node)
    return [
        f"{name} is unknown on {fold(some)} ({reason}): it counts as the node's lowest other term"
        for (name, reason), some in nodes.items()
    ]


def _is_unasked(unfit: Unfit) -> bool:
    return unfit.filter == NOT_ASKED


def _unasked(unfit: Iterable[Unfit]) -> Iterator[tuple[Cell, ...]]:
    nodes: dict[str, list[NodeName]] = {}
    for one in filter(_is_unasked, unfit):
        nodes.setdefault(one.detail, []).append(one.node)
    for reason, some in nodes.items():
        yield Cell(fold(some)), Cell(NOT_ASKED, Tone.QUIET), Cell(DASH, Tone.QUIET), Cell(reason)


def _unfit(unfit: Unfit) -> tuple[Cell, ...]:
    return Cell(unfit.node), Cell("unfit", Tone.WARN), Cell(DASH, Tone.QUIET), Cell(unfit.phrase)


def _fields(plan: Plan) -> Iterator[tuple[Json, ...]]:
    chosen = set(plan.nodes)
    for score in plan.ranked:
        yield score.node, "chosen" if score.node in chosen else "fits", score.total, _terms(score.terms)
    for unfit in plan.unfit:
        verdict, why = ("not-asked", unfit.detail) if _is_unasked(unfit) else ("unfit", unfit.phrase)
        yield unfit.node, verdict, None, why
    for unfit in plan.set_aside:
        yield unfit.node, "set-aside", None, unfit.phrase


def _terms(terms: Iterable[Term]) -> str:
    return " ".join(f"{term.name}={term.points:.1f}x{term.weight:g}" for term in terms)


def _limits_rows(limits: JobLimits) -> list[tuple[str | None, str, None, str, int | None]]:
    """The limits in the fields of `explain` in plain text: node, verdict, score, why, attempt."""
    rows: list[tuple[str | None, str, None, str, int | None]] = []
    if limits.qos is not None:
        rows.append((None, "qos", None, limits.qos.value, None))
    return rows + [(one.node_set, "limit", None, kept, one.attempt) for one in limits.nodes for kept in one.kept]


def _choice_row(choice: Choice) -> tuple[None, str, None, str, None]:
    return None, "auto", None, line_of_today(choice), None
