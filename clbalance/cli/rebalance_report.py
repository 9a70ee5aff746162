"""From what was decided to what is shown of it. Pure but for the names of users."""

import pwd

from clbalance.cli.options import RebalanceOptions
from clbalance.engine.rebalance import Settled
from clbalance.engine.rebalance_steps import Decision
from clbalance.job import JobRecord, JobState
from clbalance.nodes import fold
from clbalance.policy.afterwards import why_it_waited
from clbalance.render.reports.rebalance import Deed, PoolReport, RebalanceReport, deed_of


def planned_deeds(decision: Decision) -> tuple[Deed, ...]:
    """As it is before anything is done."""
    known = decision.facts.queued
    starts = [
        Deed(
            what="start",
            job=job,
            name=known[job].record.name,
            dst=fold(nodes),
            why=why_it_was_started(known[job].record),
        )
        for job, nodes in decision.chosen.starts
    ]
    return (*starts, *(deed_of(move) for move in decision.moves))


def report_of(
    decision: Decision, *, deeds: tuple[Deed, ...], confirm: int, options: RebalanceOptions
) -> RebalanceReport:
    """What is shown; `confirm`: after how many runs in a row a node that is over is relieved."""
    known = decision.facts.queued
    return RebalanceReport(
        pools=tuple(
            PoolReport(
                name=one.pool.name,
                plan=one.plan,
                confirm=confirm,
                times_over=tuple((node, times) for node, times in one.times_over.items() if times),
            )
            for one in decision.plans
        ),
        deeds=deeds,
        waiting=tuple((job, known[job].record.name, why) for job, why in decision.chosen.waits.items()),
        applied=options.apply,
        advice=None
        if not options.advise
        else tuple((_user(advice.uid), advice) for one in decision.plans for advice in one.plan.advice),
    )


def why_it_was_started(record: JobRecord) -> str:
    """It fits now, for all that was said of it before."""
    return f"waited: {why_it_waited(record.reason)}"


def settled_deed(one: Settled) -> Deed | None:
    """What was found out of a job that nobody had in hand, where it is more than that it has ended well."""
    if one.now.queued and one.now.state is JobState.PENDING:
        return Deed(
            what="settled", job=one.now.id, name=one.now.name, result="waits", why=why_it_waited(one.now.reason)
        )
    if one.now.state is JobState.NODE_FAIL:
        return Deed(what="settled", job=one.now.id, name=one.now.name, result="NODE_FAIL", why=one.now.reason)
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
