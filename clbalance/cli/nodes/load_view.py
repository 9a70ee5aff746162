"""What `load` shows of a snapshot: a line for each node, for each GPU, or for each job. Nothing is printed here."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from clbalance.cli.cluster import ClusterContext
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Snapshot
from clbalance.model.request import Constraints

if TYPE_CHECKING:  # imported once nodes have been asked: docs/design/startup.md
    from clbalance.render.names import KnownNames
    from clbalance.render.reports.nodes.load import LoadReport
    from clbalance.render.reports.nodes.load_gpus import LoadGpusReport
    from clbalance.render.reports.nodes.load_jobs import LoadJobsReport
    from clbalance.render.views import NodeRow

    NodesReport: TypeAlias = LoadReport | LoadGpusReport | LoadJobsReport


class View(Enum):
    """What a line of the table is about."""

    NODES = "nodes"
    GPUS = "gpus"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadView:
    """The nodes to show, and how."""

    cluster: ClusterContext
    asked: Constraints
    view: View

    def services(self, usual: Services) -> Services:
        """The services of the call, which ask nodes for what the view needs."""
        if self.view is View.NODES:
            return usual
        from clbalance.cli.known_names import asking_for_owners

        return asking_for_owners(usual)

    def rows(self, snapshot: Snapshot) -> "list[NodeRow]":
        """A row for each node."""
        from clbalance.cli.nodes.load_rows import node_rows

        return node_rows(snapshot, self.cluster.policy, self.cluster.default_cpus)

    def names(self, services: Services, snapshot: Snapshot, *, is_draft: bool = False) -> "KnownNames | None":
        """Who the users and jobs are, where they are shown. Nodes are not asked for the sake of a draft."""
        if self.view is View.NODES:
            return None
        from clbalance.cli.known_names import known_names

        return known_names(services, snapshot, ask_nodes=not is_draft)

    def report(self, rows: "Sequence[NodeRow]", names: "KnownNames | None") -> "tuple[NodesReport, str]":
        """The report, and a remark about what it leaves out; empty: nothing."""
        from clbalance.cli.nodes.load_rows import shown_rows

        shown, left_out = shown_rows(rows, self.asked, only_gpus=self.view is View.GPUS)
        if names is None:
            from clbalance.render.reports.nodes.load import LoadReport

            return LoadReport(shown), left_out
        if self.view is View.GPUS:
            from clbalance.render.reports.nodes.load_gpus import LoadGpusReport

            return LoadGpusReport(shown, names), left_out
        from clbalance.render.reports.nodes.load_jobs import LoadJobsReport

        return LoadJobsReport(shown, names), left_out
