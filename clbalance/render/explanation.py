"""Why these nodes and not the others: the candidates in order, their terms or reasons, and how close it was."""

from clbalance.job import Placed
from clbalance.model import Plan, Score, Unfit
from clbalance.nodes import fold
from clbalance.render.figures import DASH
from clbalance.render.table import Cell, Column, Table, Tone

_TIE = 1e-9
"""Points: what placement itself takes for equal."""


def explanation_table(plan: Plan) -> Table:
    """A row for every node of the plan: the ranked as they rank, then the unfit."""
    chosen = frozenset(plan.taken)
    return Table(
        columns=(
            Column(heading="NODE"),
            Column(heading="VERDICT"),
            Column(heading="SCORE", align="right"),
            Column(heading="WHY"),
        ),
        rows=(
            *(_ranked(score, chosen=score.node in chosen) for score in plan.ranked),
            *(_unfit(unfit) for unfit in plan.unfit),
        ),
    )


def attempt_heading(placed: Placed) -> str:
    """Which attempt it was, and where it went."""
    chosen = fold(placed.plan.taken)
    return f"attempt {placed.attempt} on {chosen}" if chosen else f"attempt {placed.attempt}: not placed"


def _ranked(score: Score, *, chosen: bool) -> tuple[Cell, ...]:
    why = ", ".join(f"{term.name} {term.points:.1f}x{term.weight:g} ({term.told})" for term in score.terms)
    verdict = Cell("chosen", Tone.GOOD) if chosen else Cell("fits")
    return Cell(score.node), verdict, Cell(f"{score.total:.1f}"), Cell(why)


def _unfit(unfit: Unfit) -> tuple[Cell, ...]:
    return Cell(unfit.node), Cell("unfit", Tone.WARN), Cell(DASH, Tone.QUIET), Cell(why_unfit(unfit))


def why_unfit(unfit: Unfit) -> str:
    """The reason as histograms group it, and what was found on this node."""
    return f"{unfit.reason}: {unfit.detail}" if unfit.detail else unfit.reason


def runner_up(plan: Plan) -> str:
    """The first node that was not chosen, and by how much; empty where there is none."""
    chosen = frozenset(plan.taken)
    behind = next((score for score in plan.ranked if score.node not in chosen), None)
    last = min((score for score in plan.ranked if score.node in chosen), key=lambda score: score.total, default=None)
    if behind is None or last is None:
        return ""
    margin = last.total - behind.total
    if abs(margin) < _TIE:
        return f"runner-up: {behind.node}, equal to {last.node}; the draw decided"
    side = "behind" if margin > 0 else "before"
    return f"runner-up: {behind.node}, {abs(margin):.2g} points {side} {last.node}"
