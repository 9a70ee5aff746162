"""What is asked of a placement. Apart from `choose`, so that nodes can be asked before placing is imported."""

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Request
from clbalance.policy.policies import Policy
from clbalance.policy.select import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be placed, among whom, by which policy; `rng` orders equals."""

    candidates: tuple[NodeName, ...]
    request: Request
    policy: Policy
    rng: Rng
