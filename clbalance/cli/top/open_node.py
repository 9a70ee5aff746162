"""Asks for what only the node whose details are open is asked for: the use of each cpu, and its history."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clbalance.engine.kept.command import run_command
from clbalance.engine.services import Services
from clbalance.errors import StoreError, TransportError
from clbalance.model import CpuTicks, NodeName, Unknown
from clbalance.policy.history import SeriesLine, series_of
from clbalance.probe.load import parse_core_ticks
from clbalance.probe.reading import cpu_use_pct
from clbalance.render.top.node_details import OpenNode

_COMMAND = """exec sh -c 'cat "${CLBALANCE_PROCFS:-/proc}/stat"'"""
"""For any login shell."""
_WITHIN_S = 2.0
"""It has answered just now."""
_HISTORY = timedelta(days=1)
_HISTORY_EVERY = timedelta(minutes=1)


class OpenNodeReader:
    """Reads one node again and again. Another node is begun anew."""

    def __init__(self, services: Services, node: NodeName) -> None:
        self.node = node
        self._services = replace(services, answer_within_s=_WITHIN_S)
        self._ticks: Mapping[int, CpuTicks] = {}
        self._series: tuple[SeriesLine, ...] = ()
        self._series_at: datetime | None = None

    def read(self, *, answers: bool) -> OpenNode:
        """What it says now. `answers`: whether it did in this round; a node that hangs is not waited for."""
        now = datetime.now(UTC).astimezone()
        since = now - _HISTORY
        cores = self._cores() if answers else Unknown(reason="the node does not answer")
        if not self._series or self._series_at is None or now - self._series_at >= _HISTORY_EVERY:
            self._series, self._series_at = self._history(since, now), now
        return OpenNode(node=self.node, cores=cores, since=since, until=now, series=self._series)

    def _cores(self) -> Mapping[int, float | Unknown] | Unknown:
        try:
            (result,) = run_command(self._services, [self.node], _COMMAND, within_s=_WITHIN_S)
        except TransportError as error:
            return Unknown(reason=error.message)
        if result.code != 0:
            return Unknown(reason=result.reason or "/proc/stat cannot be read")
        before = self._ticks
        self._ticks = parse_core_ticks(b"\n".join(result.lines).decode("utf-8", "replace"))
        if not before:
            return Unknown(reason="known after the next round")
        return {cpu: cpu_use_pct(before.get(cpu, Unknown(reason="new")), ticks) for cpu, ticks in self._ticks.items()}

    def _history(self, since: datetime, until: datetime) -> tuple[SeriesLine, ...]:
        try:
            found = self._services.store.history([self.node], since, until)
        except StoreError:
            return ()  # the round has said so
        return series_of(found.get(self.node, ()))
