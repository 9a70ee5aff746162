"""Named sets of weights and limits: how nodes are compared, and which are out of the question."""

from dataclasses import dataclass, field, fields

from clbalance.errors import SettingsError
from clbalance.policy.thresholds import Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each scorer counts, against the others.

    The run queue weighs as much as all the rest: it alone knows what was placed a moment ago.
    """

    run_queue: float = 4.0
    cpu_use: float = 2.0
    memory: float = 1.0
    pressure: float = 1.0

    def __post_init__(self) -> None:
        for name in self.names():
            value: float = getattr(self, name)
            if not 0.0 <= value <= 1e6:
                raise SettingsError(f"weight `{name}` is {value:g}", hint="give a number from 0 to 1000000")
        if self.total == 0.0:
            raise SettingsError(
                "every weight is 0, so no node is better than another",
                hint=f"give at least one of {', '.join(f'`{name}`' for name in self.names())}",
            )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """What may be weighed."""
        return tuple(weight.name for weight in fields(cls))

    @property
    def total(self) -> float:
        """What the weighted sum of the terms is divided by."""
        return self.run_queue + self.cpu_use + self.memory + self.pressure


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How to choose: the least loaded node, by these weights, among those within these thresholds."""

    name: str = "least"
    weights: Weights = field(default_factory=Weights)
    thresholds: Thresholds = field(default_factory=Thresholds)
    max_age_s: float = 60.0
    """An older snapshot says nothing about now (and nor does one from the future)."""


LEAST = Policy()
