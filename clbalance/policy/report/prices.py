"""What hours cost, by the prices of the nodes they were held on. Hours without a price are counted apart. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.report import Cost, Held

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices of an hour of a cpu and of a GPU; None: no price, which is not 0. By node where they differ."""

    currency: str = ""
    cpu_hour: float | None = None
    gpu_hour: float | None = None
    cpu_hour_on: Mapping[NodeName, float] = field(default_factory=dict)
    gpu_hour_on: Mapping[NodeName, float] = field(default_factory=dict)

    def cost_of(self, held: Iterable[Held]) -> Cost:
        """The cost of all of it."""
        cost = Cost()
        for one in held:
            cpu_hour = self.cpu_hour_on.get(one.node, self.cpu_hour)
            gpu_hour = self.gpu_hour_on.get(one.node, self.gpu_hour)
            cost += _cost(one.cpu_s, cpu_hour) + _gpu_part(_cost(one.gpu_s, gpu_hour))
        return cost


def _cost(seconds: float, hour: float | None) -> Cost:
    if hour is None:
        return Cost(unpriced_cpu_s=seconds)
    return Cost(amount=seconds / _HOUR_S * hour)


def _gpu_part(cost: Cost) -> Cost:
    return Cost(amount=cost.amount, unpriced_gpu_s=cost.unpriced_cpu_s)
