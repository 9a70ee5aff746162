"""Carry out `drain`: mark nodes, with `--min-available` in agreement with other drains, and wait if asked to."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import assert_never

from clbalance.cli.balance.drain_marks import (
    MarkMessages,
    check_reason,
    drain_request_of,
    end_typed,
    mark_row,
    report_marks,
    tell_doubt,
)
from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.console import Console
from clbalance.cli.option_values import FutureTime
from clbalance.cli.options import DrainOptions, NodeOptions, SshOptions
from clbalance.engine.drain import (
    DrainCommitted,
    DrainRequest,
    Marked,
    NotMarked,
    drain_message,
    drain_with_min_available,
    mark,
    read_back,
)
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, Interrupted, TooFewLeftError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import fold
from clbalance.policy.drain_progress import BelowMinAvailable, DrainProgress, Undecided, min_available_of
from clbalance.random_hex import random_hex
from clbalance.render import messages
from clbalance.render.reports.balance.marks import MarkRow, MarksReport
from clbalance.units import parse_duration

# `--min-available`: which nodes are counted, and how many must be left.

_NUMBER = re.compile(r"(\d{1,6})|(\d{1,3}(?:\.\d{1,3})?)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinAvailable:
    """As typed: a number of nodes, or a share of the pool in per cent."""

    number: float
    is_pct: bool

    def of(self, pool: tuple[NodeName, ...]) -> int:
        """The number of nodes. `UsageError` for more than the pool has."""
        min_available = min_available_of(self.number, is_pct=self.is_pct, pool=len(pool))
        if min_available > len(pool):
            raise UsageError(
                f"`--min-available` cannot be {self.number:g}: there are {len(pool)} nodes to choose from",
                hint="they are counted in the groups of `-g`, or everywhere",
            )
        return min_available


def parse_min_available(text: str) -> MinAvailable:
    """`--min-available`: a number of nodes, or a share such as `80%`; else `UsageError`."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None or (found[2] and float(found[2]) > 100):
        raise UsageError(
            f"`--min-available` cannot be {text[:40]!r}", hint="a number of nodes, or a share such as `80%`"
        )
    return MinAvailable(number=float(found[1] or found[2]), is_pct=bool(found[2]))


def drained_and_pool(nodes: NodeOptions) -> tuple[NodeOptions, NodeOptions]:
    """The nodes to drain, and the pool in which available nodes are counted.

    If nodes are named, groups only define the pool: a user who names one node does not want to drain its whole group.
    """
    counted = replace(nodes, nodes=None, exclude=None, exclude_groups=None)
    if nodes.nodes:
        everywhere = nodes.everything or not nodes.groups
        return replace(nodes, groups=None, everything=False), replace(counted, everything=everywhere)
    return nodes, counted


_WORDING = MarkMessages(
    example="clbalance drain node[1-3] --reason TEXT",
    done="drained",
    begun="draining",
    not_root="your drains bind only yourself, unless the node lists you as an administrator",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """One `drain`, with its options checked."""

    nodes: NodeOptions
    ssh: SshOptions
    console: Console
    request: DrainRequest
    until: FutureTime | None
    min_available: MinAvailable | None
    waits: bool
    within_s: float | None
    force: bool

    @classmethod
    def of(cls, nodes: NodeOptions, ssh: SshOptions, console: Console, reason: str, terms: DrainOptions) -> "Draining":
        """From options. `UsageError` for options that are wrong or do not go together."""
        check_reason(reason)
        if not nodes.names_nodes:
            raise UsageError("no nodes named", hint=f"`{_WORDING.example}`, or with `-g GROUP`")
        if terms.force and terms.deadline is None:
            raise UsageError("`--force` needs `--deadline`", hint="`--deadline 2h --force` gives jobs two hours to end")
        end = end_typed(terms.lasting, terms.until, now=datetime.now(UTC))
        return cls(
            nodes=nodes,
            ssh=ssh,
            console=console,
            request=drain_request_of(reason, end),
            until=end if isinstance(end, FutureTime) else None,
            min_available=None if terms.min_available is None else parse_min_available(terms.min_available),
            waits=terms.waits,
            within_s=None if terms.deadline is None else parse_duration(terms.deadline, "`--deadline`"),
            force=terms.force,
        )

    def carry_out(self) -> int:
        """The exit code of `clbalance drain`."""
        began = time.monotonic()
        meant, counted = (self.nodes, None) if self.min_available is None else drained_and_pool(self.nodes)
        cluster = cluster_context(meant, self.ssh, self.console)
        pool = () if counted is None else cluster_context(counted, self.ssh, self.console).candidates.nodes
        if self.until is not None:
            self.console.say(messages.note(f"until {self.until}"))
        with cluster.services() as services:
            marked = self._mark(services, cluster.candidates.nodes, pool)
            try:
                return self._report_and_wait(cluster, services, marked, began)
            except Interrupted:
                self.console.say(messages.note(f"no longer waiting; the nodes stay drained until {self._end}"))
                raise

    @property
    def _end(self) -> str:
        ends = self.request.lasts_s is not None or self.request.until_s is not None
        return "the marks end, or until `clbalance resume`" if ends else "`clbalance resume`"

    def _report_and_wait(
        self, cluster: ClusterContext, services: Services, marked: Sequence[Marked], began: float
    ) -> int:
        marked, begun = read_back(services, marked)
        done = [one.node for one in marked if one.done]
        code = report_marks(self.console, marked, _WORDING, begun)
        rows = {one.node: mark_row(one, _WORDING.begun if one.node in begun else _WORDING.done) for one in marked}
        if self.waits and done:
            left_s = None if self.within_s is None else max(0.0, self.within_s - (time.monotonic() - began))
            progress = self._wait(cluster, services, done, left_s)
            rows |= {one.node: _row_after_wait(one) for one in progress}
            code = code if all(one.is_drained for one in progress) else ExitCode.SOME_NODES_FAILED
        self.console.show(MarksReport(tuple(rows.values())))
        return code

    def _mark(self, services: Services, nodes: Sequence[NodeName], pool: tuple[NodeName, ...]) -> tuple[Marked, ...]:
        if self.min_available is None:
            return mark(services, nodes, drain_message(self.request))
        min_available = self.min_available.of(pool)
        end = drain_with_min_available(
            services, nodes, pool, min_available, self.request, random_hex(), partial(tell_doubt, self.console)
        )
        match end:
            case DrainCommitted(marked=marked, left=left):
                before = "" if left >= min_available else "; these nodes were drained already"
                self.console.say(
                    messages.note(
                        f"{left} of {len(pool)} nodes remain available, at least {min_available} required{before}"
                    )
                )
                return marked
            case NotMarked(marked=marked):
                self.console.say(messages.warning("not drained: not all nodes could be marked"))
                return tuple(one for one in marked if not one.done)
            case BelowMinAvailable() | Undecided():
                raise _too_few(end, min_available, len(pool))
            case _:
                assert_never(end)

    def _wait(
        self, cluster: ClusterContext, services: Services, nodes: list[NodeName], within_s: float | None
    ) -> tuple[DrainProgress, ...]:
        from clbalance.cli.balance.drain_monitor import DrainMonitor, drain_migrator
        from clbalance.engine.drain_wait import DrainMigrator

        move = drain_migrator(cluster, self.console, self.request.reason)
        moves = DrainMigrator(services, nodes, lambda one: cluster.policy_as(one.group, one.policy), cluster.rng, move)
        monitor = DrainMonitor(services, self.console, nodes, self.request, moves)
        return monitor.wait(within_s, force=self.force)


def _row_after_wait(one: DrainProgress) -> MarkRow:
    if one.resumed:
        return MarkRow(name=one.node, result="resumed", reason="its drain mark has gone")
    result = _WORDING.done if one.is_drained else "unknown" if one.reason else _WORDING.begun
    return MarkRow(name=one.node, result=result, reason=one.reason or None)


def _too_few(end: BelowMinAvailable | Undecided, min_available: int, pool: int) -> TooFewLeftError:
    if isinstance(end, Undecided):
        return TooFewLeftError(
            f"not drained: other drains on {fold(end.nodes)} were not decided in time,"
            f" so it is unknown whether {min_available} of {pool} nodes are left"
            if end.nodes
            else "not drained: the nodes took too long to answer",
            hint="the proposals expire within three minutes; try again then",
        )
    by_why: dict[str, list[NodeName]] = {}
    for node, reason in end.unavailable.items():
        by_why.setdefault(reason, []).append(node)
    out = "; ".join(f"{fold(nodes)} ({reason})" for reason, nodes in by_why.items())
    return TooFewLeftError(
        f"not drained: {end.left} of {pool} nodes would remain available, at least {min_available} required"
        + (f"; not available: {out}" if out else ""),
        hint="`clbalance load` shows the nodes; `--min-available` sets the number",
    )
