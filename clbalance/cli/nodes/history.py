"""Carry out `history`: the recorded load of nodes over time."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from clbalance.cli.console import Console
from clbalance.cli.node_settings import NamedNodes, named_nodes
from clbalance.cli.option_values import parse_ahead, parse_past_time
from clbalance.cli.options import NodeOptions
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.node_history import SeriesPoint
from clbalance.nodeset import fold
from clbalance.policy.history import series_of
from clbalance.policy.indices.table import ANSWERS, GPU_SERIES, NODE_SERIES
from clbalance.ports import Store
from clbalance.render import messages
from clbalance.render.reports.nodes.history import HistoryForecasts, HistoryReport
from clbalance.render.sparkline import blocks_for
from clbalance.store.location import state_directory, this_machine
from clbalance.store.state import SqliteStore

_ALL = "all"
_NOW = "now"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """The options of `history`, as typed."""

    since: str
    until: str
    indices: tuple[str, ...]
    forecast: str | None


def show_history(options: NodeOptions, asked: HistoryQuery, console: Console) -> int:
    """The exit code: 0."""
    now = datetime.now(UTC).astimezone()
    since, until = parse_past_time(asked.since, "`--since`", now), parse_past_time(asked.until, "`--until`", now)
    if since >= until:
        raise UsageError(f"`--since` {asked.since} is not before `--until` {asked.until}", hint="earlier, or later")
    wanted = _indices(asked.indices)
    ahead_s = _ahead(asked)
    named = named_nodes(options, console)
    place = state_directory(os.environ, this_machine())
    if place.note:
        console.say(messages.note(place.note))
    with SqliteStore.open(place.path) as store:
        found = store.history(named.nodes, since, until)
        message = _remark(store, named, found)
        forecasts = None if ahead_s is None else _forecasts(store, named, now, ahead_s)
    nodes = tuple((node, series_of(found.get(node, ()), wanted)) for node in named.nodes)
    report = HistoryReport(
        since=since,
        until=until,
        nodes=nodes,
        blocks=blocks_for(os.environ),
        is_brief=not asked.indices,
        forecasts=forecasts,
    )
    console.show(report)
    console.say(message)
    return ExitCode.DONE


def _ahead(asked: HistoryQuery) -> float | None:
    """How far ahead the forecast looks; None: no forecast is wanted."""
    if asked.forecast is None:
        return None
    if asked.until != _NOW:
        raise UsageError("`--forecast` looks ahead from now", hint="leave out `--until`")
    return parse_ahead(asked.forecast, "`--forecast`")


def _forecasts(store: Store, named: NamedNodes, now: datetime, ahead_s: float) -> HistoryForecasts:
    from clbalance.policy.forecast.node import expected_of_node

    at_s = now.timestamp() + ahead_s
    expected = {node: expected_of_node(state, at_s) for node, state in store.forecasts(named.nodes).items()}
    return HistoryForecasts(ahead_s=ahead_s, at_s=int(at_s), expected=expected)


def _indices(typed: Sequence[str]) -> frozenset[str]:
    known = [index.name for index in (ANSWERS, *NODE_SERIES, *GPU_SERIES)]
    if _ALL in typed:
        return frozenset(known)
    for name in typed:
        if name not in known:
            raise UsageError(f"unknown index `{name}`", hint=f"{_ALL}, or one of {', '.join(known)}")
    return frozenset(typed)


def _remark(store: Store, named: NamedNodes, found: Mapping[NodeName, Sequence[SeriesPoint]]) -> str:
    """A note that names the nodes without samples in that time; empty: all have some.

    `UsageError` for a node that was never swept and is in no group.
    """
    missing = [node for node in named.nodes if node not in found]
    if not missing:
        return ""
    never = set(missing) - store.history(missing, _BEGINNING, datetime.max.replace(tzinfo=UTC)).keys()
    if unknown := never & named.only_named:
        raise UsageError(
            f"unknown nodes: {fold(sorted(unknown))}",
            hint=f"no command has asked them yet; `clbalance load -w {fold(sorted(unknown))}` does",
        )
    when = "yet" if never == set(missing) else "in that time"
    hint = f"each `clbalance load -w {fold(missing)}` adds to it" if never else "`--since 365d` looks further back"
    return messages.note(f"no record of {fold(missing)} {when}: {hint}")
