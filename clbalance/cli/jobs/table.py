"""What the options of `jobs` mean: which jobs are shown, in which columns and order."""

from collections.abc import Iterable
from datetime import UTC, datetime

from clbalance.cli.job_selection import MOST_JOBS
from clbalance.cli.jobs.options import JobTableOptions
from clbalance.cli.node_settings import me
from clbalance.cli.option_values import parse_past_time
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import JobRecord
from clbalance.policy.jobs.selection import JobFilter, parse_states
from clbalance.ports import Journal
from clbalance.render.jobs.columns import COLUMNS, LONG, ordered
from clbalance.render.jobs.row import JobRow


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTable:
    """The jobs, columns and order of one call; `columns` None: the usual ones."""

    filter: JobFilter
    columns: tuple[str, ...] | None
    order: tuple[tuple[str, bool], ...]
    """Names of columns, each with whether its largest value comes first."""

    def records(self, journal: Journal, *, ended: bool) -> tuple[JobRecord, ...]:
        """The jobs that may be shown. Those that are not over may be in another state when their nodes were asked."""
        if self.filter == JobFilter():
            return journal.records(over=ended)
        owner = me()
        return tuple(
            record
            for record in journal.records(over=ended or self.filter.wants_ended, newest=MOST_JOBS)
            if not record.state.is_over
            or self.filter.takes(name=record.name, state=record.state, owner=owner, ended_at=record.ended_at)
        )

    def choose(self, rows: Iterable[JobRow]) -> list[JobRow]:
        """The rows that are shown, in order."""
        found = [
            row
            for row in rows
            if self.filter.takes(name=row.name, state=row.state, owner=row.user, ended_at=row.ended_at)
        ]
        return ordered(found, self.order)


def table_of(options: JobTableOptions, *, all_users: bool) -> JobTable:
    """What the options mean; `UsageError` for a wrong one."""
    owners = frozenset(options.owners or ())
    if owners and not all_users and owners != {me()}:
        raise UsageError("`--owner` needs `--all-users`: without it, `jobs` shows yours only")
    if options.long and options.columns is not None:
        raise UsageError("`--long` shows all columns, and `--columns` some", hint="one of them")
    now = datetime.now(UTC).astimezone()
    return JobTable(
        filter=JobFilter(
            since=None if options.since is None else parse_past_time(options.since, "`--since`", now),
            states=parse_states(options.states or ()),
            names=tuple(options.names or ()),
            owners=owners,
        ),
        columns=LONG if options.long else None if options.columns is None else parse_columns(options.columns),
        order=() if options.order is None else parse_order(options.order),
    )


def parse_columns(text: str) -> tuple[str, ...]:
    """The names in a text such as `job,name,ended`. `UsageError` for an unknown one."""
    return tuple(_column(word, "--columns") for word in text.split(","))


def parse_order(text: str) -> tuple[tuple[str, bool], ...]:
    """The columns in a text such as `-ended,name`, or `-ended:name`, as `load --order` takes it."""
    words = [word.strip() for word in text.replace(":", ",").split(",")]
    return tuple((_column(word.removeprefix("-"), "--order"), word.startswith("-")) for word in words)


def _column(word: str, option: str) -> str:
    name = word.strip().lower()
    if name not in COLUMNS:
        raise UsageError(f"`{option}`: unknown column {name[:40]!r}", hint=f"one of {', '.join(COLUMNS)}")
    return name
