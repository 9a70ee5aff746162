"""Start an agent on each of some nodes, to see whether one starts."""

from collections.abc import Sequence

from clbalance.engine.agent.admission import UNFIT_CAUSES
from clbalance.engine.agent.protocol import AgentEvent, Hello
from clbalance.engine.agent.sessions import Ask, ask_each
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import Closed


@dataclass(frozen=True, slots=True)
class AgentTrial:
    """Whether an agent started on the node. `refused`: why no job can start there; empty also if that is not known."""

    node: NodeName
    works: bool
    refused: str = ""


def try_agents(services: Services, nodes: Sequence[NodeName]) -> tuple[AgentTrial, ...]:
    """A trial on each node. The agents end at once; nothing is left of them."""

    def react(node: NodeName, event: AgentEvent | Closed) -> Ask | AgentTrial | None:
        match event:
            case Hello():
                return AgentTrial(node, works=True)
            case Closed(cause=cause, reason=reason):
                return AgentTrial(node, works=False, refused=cause.because(reason) if cause in UNFIT_CAUSES else "")
            case _:
                return None

    return ask_each(services, nodes, react)
