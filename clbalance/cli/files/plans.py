"""The plans of nodes, kept for a question or a report."""

from collections.abc import Collection

from clbalance.model import NodeName
from clbalance.model.files import FilesResult
from clbalance.policy.files.plan import FilePlan


class HeardPlans:
    """A `FileListener` that keeps plans, and shows nothing."""

    def __init__(self) -> None:
        self.plans: dict[NodeName, FilePlan] = {}

    def asked(self, nodes: Collection[NodeName]) -> None:
        pass

    def started(self, node: NodeName) -> None:
        pass

    def planned(self, node: NodeName, plan: FilePlan) -> None:
        self.plans[node] = plan

    def moved(self, node: NodeName, count_bytes: int) -> None:
        pass

    def ended(self, result: FilesResult) -> None:
        pass

    def idle(self) -> None:
        pass

    def done(self) -> None:
        pass
