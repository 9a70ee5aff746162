"""Listeners of copies and fetches."""

from collections.abc import Callable, Collection

from clbalance.model import NodeName
from clbalance.model.files import FilesResult
from clbalance.policy.files.plan import FilePlan


class Silent:
    """Shows nothing. `at_plan` is called when a node was compared."""

    def __init__(self, at_plan: Callable[[], object] = lambda: None) -> None:
        self._at_plan = at_plan

    def asked(self, nodes: Collection[NodeName]) -> None:
        pass

    def started(self, node: NodeName) -> None:
        pass

    def planned(self, node: NodeName, plan: FilePlan) -> None:
        self._at_plan()

    def moved(self, node: NodeName, count_bytes: int) -> None:
        pass

    def ended(self, result: FilesResult) -> None:
        pass

    def idle(self) -> None:
        pass

    def done(self) -> None:
        pass
