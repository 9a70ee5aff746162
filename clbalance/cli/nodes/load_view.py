"""What `load` shows of a snapshot: a line for each node, GPU or job, or a map. Nothing is printed here."""

import os
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from clbalance.cli.cluster import ClusterContext
from clbalance.engine.services import Services
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Snapshot
from clbalance.model.request import Constraints
from clbalance.near_words import did_you_mean
from clbalance.render.format import Format

if TYPE_CHECKING:  # imported once nodes have been asked: docs/design/startup.md
    from clbalance.render.names import KnownNames
    from clbalance.render.reports.nodes.load import LoadReport
    from clbalance.render.reports.nodes.load_forecast import LoadForecastReport
    from clbalance.render.reports.nodes.load_gpus import LoadGpusReport
    from clbalance.render.reports.nodes.load_heat import LoadHeatReport
    from clbalance.render.reports.nodes.load_jobs import LoadJobsReport
    from clbalance.render.views import NodeRow

    NodesReport: TypeAlias = LoadReport | LoadForecastReport | LoadGpusReport | LoadJobsReport | LoadHeatReport


class View(Enum):
    """What a line of the table is about."""

    NODES = "nodes"
    GPUS = "gpus"
    JOBS = "jobs"
    HEAT = "heat"
    """A map: a character for each node."""
    FORECAST = "forecast"
    """What is expected of each node."""


_WITH_USERS = frozenset({View.GPUS, View.JOBS})
"""Views that show users and jobs."""
_USUAL_LABEL = "rack"
_BY_NAME = "name"


def grouping(cluster: ClusterContext, typed: str | None) -> str | None:
    """The label that groups the map; None: it is grouped by name. `UsageError` for a label that no node has."""
    known = {label for labels in cluster.labels.values() for label in labels}
    if typed is None:
        return _USUAL_LABEL if _USUAL_LABEL in known else None
    if typed == _BY_NAME and typed not in known:
        return None
    if typed not in known:
        there_are = ", ".join(f"`{name}`" for name in (*sorted(known), _BY_NAME))
        raise UsageError(f"`--by`: no node has the label `{typed}`", hint=did_you_mean(typed, known, there_are))
    return typed


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadView:
    """The nodes to show, and how."""

    cluster: ClusterContext
    asked: Constraints
    view: View
    group_by: str | None = None
    """The label that groups the map."""
    top: int | None = None
    """So many nodes are shown, the best; None: all."""
    ahead_s: float | None = None
    """How far ahead the forecast looks."""

    def services(self, usual: Services) -> Services:
        """The services of the call, which ask nodes for what the view needs."""
        if self.view not in _WITH_USERS:
            return usual
        from clbalance.cli.known_names import asking_for_owners

        return asking_for_owners(usual)

    def rows(self, services: Services, snapshot: Snapshot) -> "list[NodeRow]":
        """A row for each node."""
        from clbalance.engine.foresight import as_policy_foresees
        from clbalance.wiring.node_rows import node_rows

        snapshot = as_policy_foresees(services, snapshot, self.cluster.policy)
        return node_rows(snapshot, self.cluster.policy, self.cluster.default_cpus)

    def names(self, services: Services, snapshot: Snapshot, *, is_draft: bool = False) -> "KnownNames | None":
        """Who the users and jobs are, where they are shown. Nodes are not asked for the sake of a draft."""
        if self.view not in _WITH_USERS:
            return None
        from clbalance.cli.known_names import known_names

        return known_names(services, snapshot, ask_nodes=not is_draft)

    def report(
        self, services: Services, rows: "Sequence[NodeRow]", names: "KnownNames | None"
    ) -> "tuple[NodesReport, str]":
        """The report, and a remark about what it leaves out; empty: nothing."""
        from clbalance.cli.nodes.load_rows import best_rows, folded_rows, shown_rows, states_note

        shown, left_out = shown_rows(rows, self.asked, only_gpus=self.view is View.GPUS)
        if self.view is View.HEAT:
            return self._heat(shown), left_out
        if self.top is not None:
            shown, others = best_rows(shown, self.top, self.asked.order)
            left_out += others
        elif self._is_on_terminal:
            left_out += states_note(shown)
        if self.ahead_s is not None:
            return self._forecast(services, shown, self.ahead_s), left_out
        if self._is_on_terminal:
            shown = folded_rows(shown)
        if names is None:
            from clbalance.render.reports.nodes.load import LoadReport

            return LoadReport(shown), left_out
        if self.view is View.GPUS:
            from clbalance.render.reports.nodes.load_gpus import LoadGpusReport

            return LoadGpusReport(shown, names), left_out
        from clbalance.render.reports.nodes.load_jobs import LoadJobsReport

        return LoadJobsReport(shown, names), left_out

    @property
    def _is_on_terminal(self) -> bool:
        """Whether a person looks at it. Pipes get a line for each node."""
        console = self.cluster.console
        return console.outlets.stdout.terminal and console.display.form is Format.HUMAN

    def _forecast(self, services: Services, rows: "Sequence[NodeRow]", ahead_s: float) -> "LoadForecastReport":
        from clbalance.engine.foresight import forecasts_of
        from clbalance.render.reports.nodes.load_forecast import LoadForecastReport

        found = forecasts_of(services, [row.node for row in rows], ahead_s)
        limit = self.cluster.policy.thresholds.bound("r1m_per_cpu")
        return LoadForecastReport(rows=rows, forecasts=found, ahead_s=ahead_s, limit=limit)

    def _heat(self, rows: "Sequence[NodeRow]") -> "LoadHeatReport":
        from clbalance.render.reports.nodes.load_heat import LoadHeatReport
        from clbalance.render.sparkline import blocks_for

        label, labels = self.group_by, None
        if label is not None:
            labels = {node: values[label] for node, values in self.cluster.labels.items() if label in values}
        return LoadHeatReport(rows=rows, blocks=blocks_for(os.environ), labels=labels)
