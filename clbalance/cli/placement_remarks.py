"""Remarks about a placement: what `--force` has set aside or would, and which nodes `--pick all` has left out."""

from collections.abc import Sequence
from dataclasses import replace

from clbalance.cli.console import Console
from clbalance.engine.services import PlacementQuery, Services
from clbalance.model import Plan, Unfit
from clbalance.model.job import JobSpec
from clbalance.nodeset import fold
from clbalance.render import messages

_SHOWN_REASONS = 5


def tell_forced(console: Console, services: Services, job: JobSpec, aside: Sequence[Unfit]) -> None:
    """Say it, and log it, one line for each node and reason."""
    from clbalance.cli.audit import AuditTrail  # few jobs are forced
    from clbalance.render.reports.balance.rebalance import Action

    trail = AuditTrail(services, console)
    for one in aside:
        say_forced(console, one)
        trail.add(Action(what="force", job=job.id, name=job.name, dst=one.node, reason=one.phrase, result="started"))


def say_forced(console: Console, aside: Unfit) -> None:
    """Say what was set aside on one node."""
    console.say(messages.warning(f"{aside.node}: ignored because of `--force`: {aside.phrase}"))


def force_hint(plan: Plan, query: PlacementQuery) -> str:
    """What to type if `--force` would help; else empty. `plan`: one that does not fit."""
    if query.request.constraints.force:
        return ""
    from clbalance.policy.placement.place import place

    forced = replace(query.request, constraints=replace(query.request.constraints, force=True))
    would_be = place(plan.charged, forced, query.policy, plan.charged.taken_at, query.rng)
    if not would_be.fits or not would_be.set_aside:
        return ""
    reasons = ", ".join(dict.fromkeys(one.reason for one in would_be.set_aside))
    return f"`-w {fold(would_be.chosen)} --force` ignores that ({reasons})"


def left_out(plan: Plan) -> tuple[Unfit, ...]:
    """The nodes that `--pick all` could not use. Nodes that were excluded by name were not wanted."""
    return () if plan.wanted is not None else tuple(one for one in plan.unfit if one.filter != "excluded")


def say_nodes_left_out(console: Console, plan: Plan, *, exit_code: int | None = None) -> None:
    """Say which nodes were left out, and why. `exit_code`: the one that this call ends with because of that."""
    found = left_out(plan)
    if not found:
        return
    together: dict[str, list[Unfit]] = {}
    for one in found:
        together.setdefault(one.reason, []).append(one)
    parts = [
        f"{fold(one.node for one in some)} ({some[0].phrase if len(some) == 1 else reason})"
        for reason, some in list(together.items())[:_SHOWN_REASONS]
    ]
    if len(together) > _SHOWN_REASONS:
        parts.append("others, which `--explain` names")
    total = len(plan.chosen) + len(found)
    code = "" if exit_code is None else f"; with -S, that is exit code {exit_code}"
    console.say(messages.note(f"{len(found)} of {total} nodes left out: {', '.join(parts)}{code}"))
