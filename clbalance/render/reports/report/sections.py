"""A report on a period as sections, each a title, a table and remarks. Text, Markdown and HTML draw the same list."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import JobState
from clbalance.model.report import Change, Cost, GroupUse, JobUse, NodesUse, Part, PeriodReport, UserUse
from clbalance.nodeset import fold
from clbalance.render.reports.report.documents import ALL
from clbalance.render.table import Cell, Column, Table
from clbalance.render.text import DASH, duration, span
from clbalance.units import counted

_NO_PRICE = "no price"
_WELL_SEEN_PCT = 95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page. `notes`: remarks below the table."""

    title: str
    table: Table
    notes: tuple[str, ...] = ()


def sections(report: PeriodReport) -> tuple[Section, ...]:
    """The sections of one period; those without rows are left out."""
    made = (_nodes(report), _hours_of(report), _users(report), _jobs(report), _wasters(report))
    return tuple(section for section in made if section.table.rows or section.notes)


def heading(report: PeriodReport) -> str:
    """The period in one line."""
    since, until = report.period.since, report.period.until
    zone = "" if since.utcoffset() == until.utcoffset() else f" {since:%Z}"  # summer time began or ended
    return f"{since:%Y-%m-%d %H:%M}{zone} to {until:%Y-%m-%d %H:%M %Z} ({span(report.period.seconds)})"


def remarks(report: PeriodReport) -> Iterator[str]:
    """What has to be known to read the figures."""
    if report.is_empty:
        yield "nothing was recorded in this time: each `clbalance load` adds to the record"
        return
    seen = report.total.seen.pct
    if seen is not None and seen < _WELL_SEEN_PCT:
        yield (
            f"{percent(100 - seen)} of the time was not seen, and counts as neither idle nor down:"
            " `clbalance config timer` has nodes asked every five minutes"
        )


def changes_section(changes: Sequence[Change], currency: str) -> Section:
    """The figures of two periods side by side."""
    rows = [
        tuple(
            Cell(text)
            for text in (
                change.name,
                _figure(change.before, change.unit, currency),
                _figure(change.after, change.unit, currency),
                _signed(change, currency),
            )
        )
        for change in changes
    ]
    return Section(title="Before and after", table=_table(("FIGURE", "BEFORE", "AFTER", "CHANGE"), rows))


def _signed(change: Change, currency: str) -> str:
    if change.change is None:
        return DASH
    text = _figure(abs(change.change), change.unit, currency)
    return text if change.change == 0 else f"{'+' if change.change > 0 else '-'}{text}"


def _figure(value: float | None, unit: str, currency: str) -> str:
    match unit:
        case _ if value is None:
            return DASH
        case "pct":
            return percent(value)
        case "s":
            return duration(value)
        case "money":
            return money(value, currency)
        case _:
            return number(value)


# -- the sections


def _nodes(report: PeriodReport) -> Section:
    headings = ("GROUP", "NODES", "CPUS", "GPUS", "SEEN", "AVAIL")
    more = ("CPU-ALLOC", "CPU-USED", "GPU-ALLOC", "GPU-USED", "GPU-IDLE")
    rows = [
        _cells(
            one.name,
            str(one.use.nodes),
            _count(one.use.cpus),
            _count(one.use.gpus),
            percent(one.use.seen.pct),
            percent(one.use.available.pct),
            *(percent(part.pct) for part in _parts(one.use)),
        )
        for one in all_and_groups(report)
    ]
    notes = ("GPU-IDLE is a share of the leased GPUs, all other shares are of what was seen",)
    table = _table((*headings, *more), rows, sacrifice={"GPU-IDLE": 2, "GPUS": 1})
    return Section(title="Nodes", table=table, notes=notes if report.total.gpus else ())


def _hours_of(report: PeriodReport) -> Section:
    headings = ("GROUP", "CPU-ALLOC", "CPU-USED", "GPU-ALLOC", "GPU-USED", "GPU-IDLE", "COST")
    rows = [
        _cells(one.name, *(hours(part.value) for part in _parts(one.use)), _cost(one.use.cost, report.currency))
        for one in all_and_groups(report)
    ]
    return Section(title="Hours", table=_table(headings, rows), notes=_unpriced(report.total.cost))


def _users(report: PeriodReport) -> Section:
    headings = ("USER", "JOBS", "CPU-HOURS", "CPU-EFF", "GPU-HOURS", "GPU-EFF", "GPU-IDLE", "COST")
    rows = [_user(user, report.currency) for user in report.users]
    notes: tuple[str, ...] = (f"and {counted(report.more_users, 'user')} more",) if report.more_users else ()
    notes += _unpriced(reduce(add, (user.cost for user in report.users), Cost()))
    return Section(title="Users", table=_table(headings, rows), notes=notes)


def _user(user: UserUse, currency: str) -> tuple[Cell, ...]:
    return _cells(
        user.user,
        str(user.jobs),
        hours(user.cpu_s),
        percent(user.cpu_used.pct),
        hours(user.gpu_s),
        percent(user.gpu_used.pct),
        hours(user.gpu_idle.value),
        _cost(user.cost, currency),
    )


def _jobs(report: PeriodReport) -> Section:
    rows = [_cells(state, str(count)) for state, count in sorted(report.ended.items())]
    rows += [_cells(f"{state} now", str(count)) for state, count in sorted(report.active.items())]
    waits = report.waits
    notes = []
    if waits.p50_s is not None and waits.p95_s is not None:
        notes.append(
            f"of {counted(waits.jobs, 'job')} started, half waited up to {duration(waits.p50_s)},"
            f" 95 % up to {duration(waits.p95_s)}"
        )
    if JobState.RUNNING.value in report.active:
        notes.append("`clbalance jobs` asks the nodes which of them still run")
    if report.restarts:
        notes.append(f"{counted(report.restarts, 'restart')}")
    return Section(title="Jobs of this host", table=_table(("STATE", "JOBS"), rows), notes=tuple(notes))


def _wasters(report: PeriodReport) -> Section:
    headings = ("JOB", "USER", "GPU-IDLE", "CPU-UNUSED", "NODES", "NAME")
    rows = [_waster(job) for job in report.wasters]
    return Section(title="Most wasted, in hours", table=_table(headings, rows, left=("USER", "NODES", "NAME")))


def _waster(job: JobUse) -> tuple[Cell, ...]:
    unused = job.wasted_cpu_s if job.cpu_used.known else None
    nodes = fold(one.node for one in job.held)
    return _cells(job.label, job.user, hours(job.gpu_idle.value), hours(unused), nodes, job.name or DASH)


def all_and_groups(report: PeriodReport) -> Iterator[GroupUse]:
    """The groups, and a row for all nodes unless a group has them all."""
    yield from report.groups
    if all(group.use.nodes != report.total.nodes for group in report.groups):
        yield GroupUse(name=ALL, use=report.total, cpu_by_time=report.cpu_by_time, gpu_by_time=report.gpu_by_time)


def _parts(use: NodesUse) -> tuple[Part, ...]:
    return use.cpu_allocated, use.cpu_used, use.gpu_allocated, use.gpu_used, use.gpu_idle


# -- cells


def _cells(*texts: str) -> tuple[Cell, ...]:
    return tuple(map(Cell, texts))


def _table(
    headings: Sequence[str],
    rows: Iterable[tuple[Cell, ...]],
    left: Sequence[str] = (),
    sacrifice: Mapping[str, int] | None = None,
) -> Table:
    """The first column and those of text to the left, numbers to the right."""
    columns = (
        Column(
            heading=name,
            align="left" if at == 0 or name in left else "right",
            sacrifice=(sacrifice or {}).get(name, 0),
        )
        for at, name in enumerate(headings)
    )
    return Table(columns=tuple(columns), rows=tuple(rows))


def percent(value: float | None) -> str:
    """`42%`, below ten `4.2%`; `<0.1%` and `>99.9%` for what is not quite nothing or all."""
    if value is None:
        return DASH
    if 0 < value < 0.05:
        return "<0.1%"
    if 99.5 <= value < 100:
        return ">99.9%" if value > 99.9 else f"{value:.1f}%"
    return f"{value:.1f}%" if value < 9.95 else f"{value:.0f}%"


def hours(seconds: float | None) -> str:
    """Seconds as hours."""
    return DASH if seconds is None else number(seconds / 3600)


def number(value: float) -> str:
    """At least three digits: `0.05`, `12.3`, `1234`."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def money(value: float, currency: str) -> str:
    """An amount with its currency, if it has a name."""
    return f"{value:.2f} {currency}".rstrip()


def _count(value: float | None) -> str:
    return DASH if value is None else f"{value:.0f}"


def _cost(cost: Cost, currency: str) -> str:
    return _NO_PRICE if cost.value is None else money(cost.value, currency)


def _unpriced(cost: Cost) -> tuple[str, ...]:
    """What is missing in the costs, if there are any prices."""
    if cost.value is None:
        return ()
    missing = {"cpu-hours": cost.unpriced_cpu_s, "GPU-hours": cost.unpriced_gpu_s}
    told = [f"{hours(seconds)} {what}" for what, seconds in missing.items() if seconds > 0]
    return (f"{' and '.join(told)} have no price, and are not in the cost",) if told else ()
