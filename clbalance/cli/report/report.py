"""Carry out `report`: read what this host has recorded of a period, and show it."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from clbalance.cli.cluster import open_store
from clbalance.cli.console import Console
from clbalance.cli.node_settings import NamedNodes, me, named_nodes
from clbalance.cli.option_values import user_name
from clbalance.cli.options import NodeOptions, OutputOptions
from clbalance.cli.progress import ProgressLine
from clbalance.cli.report.options import PeriodOptions
from clbalance.cli.report.period import compared_periods, period_of
from clbalance.errors import ExitCode, NodeNameError, SettingsError, StoreError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord
from clbalance.model.node_history import SeriesPoint
from clbalance.model.report import Period, PeriodReport
from clbalance.nodeset import fold
from clbalance.policy.report.compare import changes
from clbalance.policy.report.intervals import HOLDS_S, Columns
from clbalance.policy.report.jobs import KnownJob, account_of_jobs, may_concern
from clbalance.policy.report.nodes import KEYS, NodeAccount, account_of
from clbalance.policy.report.prices import PriceTable
from clbalance.policy.report.report import Surroundings, report_of
from clbalance.ports import Journal, Store
from clbalance.render.reports.report.report import UseReport
from clbalance.user_files import check_writable, replace_file
from clbalance.wiring.node_settings import facts_by_node, node_facts_entries

_MOST_JOBS = 1_000_000  # jobs read from the journal
_MOST_GROUPS = 30
_COLUMNS = 84
"""Of pictures: two hours each in a week."""
_NODES_AT_ONCE = 20
"""A week of a node is 1,300 points: so many are in memory at once."""

_Item = TypeVar("_Item")


def show_report(nodes: NodeOptions, asked: PeriodOptions, output: OutputOptions, console: Console) -> int:
    """The exit code: 0."""
    _check_forms(asked, output)
    now = datetime.now(UTC).astimezone()
    periods = [period_of(asked, now)] if asked.compare is None else list(compared_periods(asked, now))
    named = named_nodes(nodes, console)
    if asked.html is not None:
        check_writable(str(asked.html), replaced=True).close()
    line = ProgressLine(quiet=console.quiet)
    with open_store(console, needed=True) as (store, journal), contextlib.ExitStack() as stack:
        stack.callback(line.clear)
        known = _Known(
            store=store,
            journal=journal,
            records=journal.records(over=True, newest=_MOST_JOBS),
            named=named,
            groups=tuple(_groups(nodes, named)),
            is_chosen=nodes.names_nodes,
            line=line,
        )
        reports = [_report(period, known) for period in periods]
    _show(_compared(reports), asked, output, console)
    return ExitCode.DONE


def _check_forms(asked: PeriodOptions, output: OutputOptions) -> None:
    forms = {"--csv": asked.csv, "--markdown": asked.markdown, "--json": output.json}
    typed = [name for name, is_typed in forms.items() if is_typed]
    if len(typed) > 1:
        raise UsageError(f"`{typed[0]}` does not go with `{typed[1]}`", hint="leave out one of them")


def _compared(reports: Sequence[PeriodReport]) -> UseReport:
    if len(reports) == 1:
        return UseReport(report=reports[0])
    before, after = reports
    return UseReport(report=after, before=before, changes=changes(before, after))


def _show(report: UseReport, asked: PeriodOptions, output: OutputOptions, console: Console) -> None:
    """Write the file, and print the form that was asked for; with a file alone, print nothing."""
    if asked.html is not None:
        from clbalance.render.reports.report.html_page import html_page

        replace_file(str(asked.html), html_page(report).encode("utf-8", "backslashreplace"))
    if asked.csv:
        from clbalance.render.reports.report.csv_text import csv_text

        console.print(csv_text(report))
    elif asked.markdown:
        from clbalance.render.reports.report.markdown import markdown_text

        console.print(markdown_text(report))
    elif asked.html is None or output.json:
        console.show(report)


# -- what is read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What reports are made of. `is_chosen`: nodes were named, and only what was on them counts."""

    store: Store
    journal: Journal
    records: tuple[JobRecord, ...]
    named: NamedNodes
    groups: tuple[tuple[str, tuple[NodeName, ...]], ...]
    is_chosen: bool
    line: ProgressLine


def _groups(options: NodeOptions, named: NamedNodes) -> Iterator[tuple[str, tuple[NodeName, ...]]]:
    """The named groups, or those of the default source, with their nodes among the chosen ones."""
    for name in options.groups or named.sets.group_names()[:_MOST_GROUPS]:
        try:
            members = frozenset(named.sets.group(name))
        except (NodeNameError, SettingsError):
            continue  # a group that cannot be looked up is left out, as by `-a`
        if nodes := tuple(node for node in named.nodes if node in members):
            yield name, nodes


def _report(period: Period, known: _Known) -> PeriodReport:
    columns = Columns.of(period, _COLUMNS)
    accounts = dict(_accounts(known, period, columns))
    records = [record for record in known.records if may_concern(record, period)]
    jobs = (_known_job(known.journal, record) for record in _told(records, "jobs", known.line))
    settings = known.named.settings
    chosen = frozenset(known.named.nodes) if known.is_chosen else None
    around = Surroundings(
        prices=_prices(known.named),
        user_name=user_name,
        fold=fold,
        own_keys=frozenset(record.key for record in known.records),
    )
    account = account_of_jobs(jobs, period, settings.ssh.user or me(), chosen)
    return report_of(period, accounts, known.groups, account, around)


def _known_job(journal: Journal, record: JobRecord) -> KnownJob:
    """The job, as far as this version can read it."""
    try:
        return KnownJob(record=record, submitted=journal.submitted(record.id), copies=journal.copies(record.id))
    except StoreError:
        return KnownJob(record=record, submitted=None)


def _accounts(known: _Known, period: Period, columns: Columns) -> Iterator[tuple[NodeName, NodeAccount]]:
    since = period.since - timedelta(seconds=HOLDS_S)  # a sample from before may reach into the period
    found: Mapping[NodeName, Sequence[SeriesPoint]] = {}
    nodes = known.named.nodes
    for at, node in enumerate(_told(nodes, "nodes", known.line)):
        if at % _NODES_AT_ONCE == 0:
            found = known.store.history(nodes[at : at + _NODES_AT_ONCE], since, period.until, keys=KEYS)
        yield node, account_of(node, found.get(node, ()), period, columns)


def _told(items: Sequence[_Item], what: str, line: ProgressLine) -> Iterator[_Item]:
    """The items; the line shows how far they are."""
    for number, item in enumerate(items):
        line.show(partial(_progress, number, len(items), what))
        yield item


def _progress(number: int, total: int, what: str, width: int) -> str:
    return f"read {number} of {total} {what}"[:width]


def _prices(named: NamedNodes) -> PriceTable:
    prices, entries = named.settings.prices, node_facts_entries(named.settings, named.sets)
    return PriceTable(
        currency=prices.currency,
        cpu_hour=prices.cpu_hour,
        gpu_hour=prices.gpu_hour,
        cpu_hour_on=facts_by_node(entries, lambda facts: facts.price_cpu_hour),
        gpu_hour_on=facts_by_node(entries, lambda facts: facts.price_gpu_hour),
    )
