"""A listener that tells nobody: for looking at jobs without showing them."""

from clbalance.job import JobSpec, Outcome
from clbalance.model import NodeName, Plan


class Unheard:
    """`ports.RunListener` for nobody."""

    def waiting(self, reason: str) -> None: ...

    def placed(self, job: JobSpec, plan: Plan) -> None: ...

    def started(self, node: NodeName) -> None: ...

    def warned(self, node: NodeName, text: str) -> None: ...

    def output(self, node: NodeName, stream: str, piece: bytes) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...
