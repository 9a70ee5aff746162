"""`rebalance`: the plan of each pool before anything is done, and a line for each action."""

from collections.abc import Iterator, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Unknown
from clbalance.policy.rebalance.values import Advice, NodeLevel, PlannedMigration, RebalancePlan
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table
from clbalance.render.text import DASH, Json, escape_line, finite

REBALANCE_FIELDS = ("what", "job", "name", "src", "dst", "gain", "result", "why", "confirmations_missing")
"""The fields in plain text, a line for each job. `what` is `start`, `move`, `settled`, `waiting` for a job that still
waits, or `advice` for other users: without a job number, with the node as `src`."""

_COLUMNS = (
    Column(heading="JOB", align="right"),
    Column(heading="NAME", sacrifice=2),
    Column(heading="FROM"),
    Column(heading="TO"),
    Column(heading="GAIN", align="right", sacrifice=1),
    Column(heading="WHY"),
)
_WHEN = Column(heading="WHEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReport:
    """One pool's plan. `confirm`: a node must be overloaded in that many runs in a row before jobs are moved off.

    `times_over`: for each overloaded node, in how many runs in a row until now.
    """

    name: str
    plan: RebalancePlan
    confirm: int
    times_over: tuple[tuple[NodeName, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Report):
    """An action on a job, shown when it is done. `result` is empty while it is only planned."""

    what: str
    job: int | str
    """A number; of another user's job, what `cancel` takes for it."""
    name: str
    src: str = ""
    dst: str = ""
    gain: float | None = None
    reason: str = ""
    result: str = ""
    missing: int = 0
    """Of a planned move: how many further runs must find its source overloaded before it is carried out."""

    def human(self, display: Display) -> str:
        return f"{escape_line(_action_line(self))}\n"

    def plain(self) -> str:
        """The `REBALANCE_FIELDS` of the action."""
        return plain_lines([_action_fields(self)])

    def json(self) -> None:
        """Nothing: `RebalanceReport` has all actions, at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceReport(Report):
    """One run of `rebalance`. `advice`: None if it was not asked for."""

    pools: tuple[PoolReport, ...]
    actions: tuple[Action, ...]
    waiting: tuple[tuple[int, str, str], ...]
    """Jobs that still wait: number, name, reason."""
    applied: bool
    advice: tuple[tuple[str, Advice], ...] | None = None
    """Each advice with the name of the jobs' owner."""

    def human(self, display: Display) -> str:
        """The plan and advice. After `--apply` only advice: each action was shown when it was done."""
        lines = [_advice_line(*one) for one in self.advice or ()]
        table = ""
        if not self.applied:
            lines = [_waiting_line(*one) for one in self.waiting] + lines
            table = display.table(_plan_table(self.actions), last="fold") if self.actions else ""
        return table + "".join(f"{escape_line(line)}\n" for line in lines)

    def plain(self) -> str:
        """The same as `REBALANCE_FIELDS`."""
        rows = [_advice_fields(*one) for one in self.advice or ()]
        if not self.applied:
            rows = [*map(_action_fields, self.actions), *(_waiting_fields(*one) for one in self.waiting), *rows]
        return plain_lines(rows)

    def json(self) -> dict[str, Json]:
        """The whole run. With several pools, the scores are those of the worst."""
        plans = [pool.plan for pool in self.pools]
        return {
            "applied": self.applied,
            "score_before": finite(max((plan.score_before for plan in plans), default=0.0)),
            "score_after": finite(max((plan.score_after for plan in plans), default=0.0)),
            "moves": [_action(one) for one in self.actions if one.what == "move"],
            "started": [_action(one) for one in self.actions if one.what == "start"],
            "settled": [_action(one) for one in self.actions if one.what == "settled"],
            "waiting": [{"job": job, "name": name, "reason": reason} for job, name, reason in self.waiting],
            "pools": [_pool(pool) for pool in self.pools],
            "advice": None if self.advice is None else [_advice(owner, one) for owner, one in self.advice],
        }


def action_of(move: PlannedMigration, result: str = "") -> Action:
    """The action of a migration."""
    return Action(
        what="move",
        job=move.job,
        name=move.name,
        src=move.src,
        dst=move.dst,
        gain=move.gain,
        reason=move.reason,
        result=result,
    )


def pool_heading(pool: PoolReport) -> str:
    """The balance of the pool, before and after the planned migrations."""
    plan = pool.plan
    known = [one for one in plan.levels if not isinstance(one.before, Unknown)]
    if not known:
        return f"{pool.name}: the load of every node is unknown"
    before = max(_level(one.before) for one in known)
    after = max(_level(one.after) for one in known)
    mean = plan.mean
    if not plan.migrations:
        return f"{pool.name}: load per cpu: deviation {plan.score_before:.2f}, highest {before:.2f}, mean {mean:.2f}"
    return (
        f"{pool.name}: load per cpu: deviation {plan.score_before:.2f} -> {plan.score_after:.2f},"
        f" highest {before:.2f} -> {after:.2f} ({plan.bound:.2f} at best), mean {mean:.2f}"
    )


def remarks(pool: PoolReport) -> Iterator[str]:
    """The reasons why no more jobs are moved."""
    for node, times in pool.times_over:
        if times < pool.confirm:
            yield (
                f"{node} is overloaded: jobs are moved off after {_runs(pool.confirm - times)} of `rebalance --apply`,"
                " if it still is then, or at once with `--now`"
            )
    reasons: dict[str, list[int]] = {}
    for job, reason in pool.plan.stays:
        reasons.setdefault(reason, []).append(job.job)
    for reason, jobs in reasons.items():
        yield f"{'job' if len(jobs) == 1 else 'jobs'} {_numbers(jobs)} stay{'s' * (len(jobs) == 1)}: {reason}"


def _action_line(action: Action) -> str:
    """One line for people and mails."""
    where = f"{action.src} -> {action.dst}" if action.src and action.dst else action.dst or action.src
    gain = "" if action.gain is None else f", gain {action.gain:.2f}"
    reason = f" ({action.reason})" if action.reason else ""
    return f"job {action.job} {action.name}: {where}{': ' if where else ''}{action.result or action.what}{gain}{reason}"


def _waiting_line(job: int, name: str, reason: str) -> str:
    """One line for a job that still waits."""
    return f"job {job} {name}: waits: {reason}"


def _advice_line(owner: str, advice: Advice) -> str:
    """One line of advice for an owner."""
    return f"{owner}: {advice.text}"


def _action_fields(action: Action) -> tuple[Json, ...]:
    """The `REBALANCE_FIELDS` of an action."""
    what, result = (action.what, action.job, action.name), (action.result, action.reason, action.missing)
    return *what, action.src, action.dst, action.gain, *result


def _waiting_fields(job: int, name: str, reason: str) -> tuple[Json, ...]:
    """The same for a job that still waits."""
    return "waiting", job, name, None, None, None, None, reason, None


def _advice_fields(owner: str, advice: Advice) -> tuple[Json, ...]:
    """The same for advice."""
    return "advice", None, advice.name, advice.node, None, None, None, _advice_line(owner, advice), None


def _plan_table(actions: Sequence[Action]) -> Table:
    """The planned actions; with a column for when they are done, if any waits for confirmations."""
    rows = tuple(map(_row, actions))
    if not any(one.missing for one in actions):
        return Table(columns=_COLUMNS, rows=rows)
    when = [Cell(f"after {_runs(one.missing)}" if one.missing else "now") for one in actions]
    return Table(
        columns=(*_COLUMNS[:-1], _WHEN, _COLUMNS[-1]),
        rows=tuple((*row[:-1], cell, row[-1]) for row, cell in zip(rows, when, strict=True)),
    )


def _row(action: Action) -> tuple[Cell, ...]:
    gain = DASH if action.gain is None else f"{action.gain:.2f}"
    return (
        Cell(str(action.job)),
        Cell(action.name),
        Cell(action.src or DASH),
        Cell(action.dst or DASH),
        Cell(gain),
        Cell(action.reason),
    )


def _pool(pool: PoolReport) -> Json:
    plan = pool.plan
    return {
        "name": pool.name,
        "score_before": finite(plan.score_before),
        "score_after": finite(plan.score_after),
        "bound": finite(plan.bound),
        "nodes": [_node(one, dict(pool.times_over).get(one.node, 0)) for one in plan.levels],
        "stays": [{"job": job.job, "name": job.name, "reason": reason} for job, reason in plan.stays],
    }


def _node(one: NodeLevel, times: int) -> Json:
    before, after = one.before, one.after
    return {
        "name": one.node,
        "level_before": None if isinstance(before, Unknown) else finite(before),
        "level_after": None if isinstance(after, Unknown) else finite(after),
        "reason": before.reason if isinstance(before, Unknown) else None,
        "over": one.over,
        "times_over": times,
    }


def _action(one: Action) -> Json:
    return {
        "job": one.job,
        "name": one.name,
        "src": one.src or None,
        "dst": one.dst or None,
        "gain": finite(one.gain),
        "why": one.reason or None,
        "result": one.result or None,
        "confirmations_missing": one.missing,
    }


def _advice(owner: str, one: Advice) -> Json:
    return {"user": owner, "uid": one.uid, "node": one.node, "name": one.name, "cpus": one.cpus, "text": one.text}


def _level(level: float | Unknown) -> float:
    return 0.0 if isinstance(level, Unknown) else level


def _numbers(jobs: Sequence[int]) -> str:
    return ", ".join(map(str, jobs[:8])) + (f" and {len(jobs) - 8} more" if len(jobs) > 8 else "")


def _runs(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"
