"""Which policy to use from now on, by replays of the history (docs/design/auto.md).

gate: no worse worst slowdown than the reference → least mean slowdown, recent days counting more → margin above noise
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.backtest.values import FIELDS, Backtest, Choice, DayFigures, Evidence, Field, Subject
from clbalance.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the days of the history count."""

    half_life_days: float = 30.0
    least_days: int = 7
    """With fewer days of jobs the default is used."""
    out_days: int = 60
    """For how long a reordering policy is out after its worst slowdown was above that of the reference."""
    noise: float = 2.0
    """How many standard errors a margin must have. One bad day makes 1.05 of them, however bad it is."""

    def weight(self, day: DayFigures) -> float:
        """How much a day counts."""
        return float(0.5 ** (day.age / self.half_life_days))


RULES = Rules()


def choose(
    subject: Subject, backtests: Sequence[Backtest], *, before: str | None, at: datetime, rules: Rules = RULES
) -> Choice:
    """The policy from now on. `backtests`: of all policies of the subject, on the same jobs.

    `before`: the policy of yesterday; None: none was chosen yet.
    """
    field = FIELDS[subject]
    by_policy = {one.policy: one for one in backtests}
    reference = by_policy[field.reference]
    if len(reference.days) < rules.least_days:
        has = f"jobs of {counted(len(reference.days), 'day')}" if reference.days else "no job that has ended"
        return default_choice(subject, f"the history has {has}, and {rules.least_days} days are needed", before, at)
    judged = [_judged(one, reference, field, rules) for one in backtests]
    first = (before, field.default, field.reference)  # of equal ones
    ordered = sorted(
        judged, key=lambda one: (bool(one.out), one.slowdown or math.inf, *(one.policy != it for it in first))
    )
    best = ordered[0]
    incumbent = next((one for one in ordered if one.policy == (before or field.default)), best)
    margin = _margin(by_policy, best, _rival(ordered, incumbent), rules)
    stays = margin is not None and margin.over == incumbent.policy and margin.share <= margin.noise
    return Choice(
        subject=subject,
        policy=incumbent.policy if stays else best.policy,
        before=before or field.default,
        at=at,
        reason=_reason(incumbent, best, margin),
        days=len(reference.days),
        jobs=sum(day.jobs for day in reference.days),
        margin_pct=None if margin is None else 100.0 * margin.share,
        noise_pct=None if margin is None else 100.0 * margin.noise,
        evidence=tuple(ordered),
    )


def default_choice(subject: Subject, why: str, before: str | None, at: datetime) -> Choice:
    """The default policy, because the history does not suffice."""
    default = FIELDS[subject].default
    return Choice(subject=subject, policy=default, before=before or default, at=at, reason=f"the default: {why}")


def undecided(subject: Subject, why: str, before: str | None, at: datetime) -> Choice:
    """The policy of yesterday, because nothing could be found out; without one, the default."""
    if before is None:
        return default_choice(subject, why, before, at)
    return Choice(subject=subject, policy=before, before=before, at=at, reason=f"as before: {why}")


# The gate.


def _judged(one: Backtest, reference: Backtest, field: Field, rules: Rules) -> Evidence:
    return Evidence(
        policy=one.policy,
        slowdown=_mean(one, rules) if one.days else None,
        worst=_worst(one.days),
        started=one.started,
        out=_why_out(one, reference, field, rules),
    )


def _why_out(one: Backtest, reference: Backtest, field: Field, rules: Rules) -> str:
    """Why a policy does not pass the gate; empty: it does."""
    if one.started < reference.started:
        return f"it starts {counted(reference.started - one.started, 'job')} fewer than {reference.policy}"
    worst, allowed = _worst(one.days), _worst(reference.days)
    if worst > allowed:
        return f"its worst slowdown is {worst:.1f}, that of {reference.policy} {allowed:.1f}"
    if one.policy in field.reordering and (age := _last_above(one, reference)) <= rules.out_days:
        return f"its worst slowdown was above that of {reference.policy} {counted(age, 'day')} ago"
    return ""


def _last_above(one: Backtest, reference: Backtest) -> float:
    """How many days ago the worst slowdown up to then was last above that of the reference; infinite: never."""
    allowed_on = {day.age: day.worst for day in reference.days}
    last, worst, allowed = math.inf, 0.0, 0.0
    for day in one.days:
        worst, allowed = max(worst, day.worst), max(allowed, allowed_on.get(day.age, 0.0))
        if worst > allowed:
            last = day.age
    return last


def _worst(days: Sequence[DayFigures]) -> float:
    return max((day.worst for day in days), default=0.0)


# The margin.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Margin:
    """By which share the best policy's mean slowdown is lower than that of `over`, and which share is noise."""

    over: str
    share: float
    noise: float


def _rival(ordered: Sequence[Evidence], incumbent: Evidence) -> Evidence | None:
    """With whom the best is compared: the one before or, if that is best or out, the second best; None: all are out."""
    if not incumbent.out and incumbent is not ordered[0]:
        return incumbent
    return next((one for one in ordered[1:] if not one.out), None)


def _margin(by_policy: Mapping[str, Backtest], best: Evidence, rival: Evidence | None, rules: Rules) -> _Margin | None:
    if rival is None:
        return None
    ours, theirs = by_policy[best.policy], by_policy[rival.policy]
    jobs, mean = _weighted(ours.days, lambda day: day.jobs, rules), _mean(theirs, rules)
    less = mean - _mean(ours, rules)
    # Days are the samples: the jobs of one day wait for each other.
    sums = {day.age: day.sum for day in theirs.days}
    residuals = (rules.weight(day) * (sums.get(day.age, day.sum) - day.sum - less * day.jobs) for day in ours.days)
    return _Margin(over=rival.policy, share=less / mean, noise=rules.noise * math.hypot(*residuals) / jobs / mean)


def _mean(one: Backtest, rules: Rules) -> float:
    return _weighted(one.days, lambda day: day.sum, rules) / _weighted(one.days, lambda day: day.jobs, rules)


def _weighted(days: Sequence[DayFigures], value: Callable[[DayFigures], float], rules: Rules) -> float:
    return math.fsum(rules.weight(day) * value(day) for day in days)


def _reason(incumbent: Evidence, best: Evidence, margin: _Margin | None) -> str:
    out = f"{incumbent.policy} is out, {incumbent.out}; " if incumbent.out else ""
    if margin is None:
        return f"{out}no other policy passes"
    if not margin.share and not out:
        return "no other policy has less slowdown"
    less = f"{best.policy} has {100 * margin.share:.1f} % less slowdown than {margin.over}"
    if margin.over == incumbent.policy and margin.share <= margin.noise:
        return f"{less}, but the noise is {100 * margin.noise:.1f} %"
    return f"{out}{less}, noise {100 * margin.noise:.1f} %"
