"""What a node is compared by: one number, turned into 0…100 points, of which more is better."""

from collections.abc import Callable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request, Unknown
from clbalance.policy.effective import Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """One term: the number it reads, the points that number is worth, and how a person is told of it."""

    name: str
    read: Callable[[Load, Request], float | Unknown]
    points: Callable[[float], float]
    told: Callable[[Load, Request, float], str]
