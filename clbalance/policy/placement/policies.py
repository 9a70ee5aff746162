"""Named policies: the weights of the scorers, and the rule of selection."""

from collections.abc import Mapping
from dataclasses import field, fields, replace
from enum import Enum
from typing import Final

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.policy.placement.fragmentation import Workload
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.site.rules import NO_RULES, SiteRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weight of each scorer, relative to the others.

    The run queue weighs as much as the other three measured terms, because only it includes recent placements. The
    GPUs weigh as much as these four together: where a node has some, they are what its users come for.
    """

    run_queue: float = 4.0
    cpu_use: float = 2.0
    memory: float = 1.0
    pressure: float = 1.0
    gpu: float = 8.0
    """Only where a node has GPUs."""
    forecast: float = 0.0
    risk: float = 0.0
    spread: float = 0.0
    packing: float = 0.0
    fragmentation: float = 0.0

    def __post_init__(self) -> None:
        for name in self.names():
            value: float = getattr(self, name)
            if not 0.0 <= value <= 1e6:
                raise SettingsError(f"weight `{name}` is {value:g}", hint="give a number from 0 to 1000000")
        if not any(getattr(self, name) for name in self.names() if name != "gpu"):
            raise SettingsError(
                "every weight is 0, so no node is better than another",
                hint=f"give at least one of {', '.join(f'`{name}`' for name in self.names() if name != 'gpu')}",
            )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the scorers."""
        return tuple(weight.name for weight in fields(cls))


def _only(**weights: float) -> Mapping[str, float]:
    return dict.fromkeys(Weights.names(), 0.0) | weights


class Rule(Enum):
    """How nodes are selected from those that fit."""

    BEST = "best score first"
    TWO_CHOICES = "the better of two drawn"
    DRAWN = "drawn"
    ROTATING = "the next by name"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKind:
    """The definition of a named policy."""

    message: str
    rule: Rule = Rule.BEST
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights that differ from `Weights()`."""
    fills_shares: bool = True
    """As in `Policy`."""


KINDS: Final[Mapping[str, PolicyKind]] = {
    "least": PolicyKind(message="the least loaded node"),
    "spread": PolicyKind(
        message="the node with the largest unallocated share", weights=_only(spread=1.0), fills_shares=False
    ),
    "pack": PolicyKind(message="the fullest node that still fits", weights=_only(packing=1.0)),
    "p2c": PolicyKind(message="the less loaded of two drawn nodes", rule=Rule.TWO_CHOICES),
    # What was measured now counts only as far as the forecast heeds it (docs/design/forecast.md).
    "foresee": PolicyKind(
        message="the lowest load expected soon", weights=_only(forecast=6.0, memory=1.0, pressure=1.0, gpu=8.0)
    ),
    "risk": PolicyKind(message="low load that varies little", weights=_only(run_queue=1.0, risk=1.0)),
    # The packing term only breaks ties: its weight is a thousandth of the fragmentation weight.
    "fgd": PolicyKind(message="the fewest GPU fragments", weights=_only(fragmentation=1.0, packing=0.001)),
    "random": PolicyKind(message="any node that fits", rule=Rule.DRAWN),
    "rr": PolicyKind(message="one node after the other, by name", rule=Rule.ROTATING),
}
"""Policies by name. `least` is the default; `random` and `rr` are baselines for comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy ready for use: rule, weights and thresholds."""

    name: str = "least"
    rule: Rule = Rule.BEST
    weights: Weights = field(default_factory=Weights)
    thresholds: Thresholds = field(default_factory=Thresholds)
    max_age_s: float = 60.0
    """A snapshot that is older, or from the future, is not used."""
    ahead_s: float = 1800.0
    """How far ahead the `forecast` scorer looks."""
    workload: Workload = field(default_factory=Workload)
    """The mix of expected requests, for the `fragmentation` scorer only."""
    rules: SiteRules = NO_RULES
    """Filters and scorers of installed packages."""
    fills_shares: bool = True
    """A share of a GPU goes to a device that is shared already, on any node that fits, before a whole one is cut."""


LEAST = Policy()
"""The default policy."""


def policy_named(
    name: str,
    *,
    weights: Mapping[str, float] | None = None,
    thresholds: Thresholds | None = None,
    max_age_s: float | None = None,
    workload: Workload | None = None,
) -> Policy:
    """A policy of `KINDS`, with some weights changed; `SettingsError` for an unknown name or bad weights."""
    kind = KINDS.get(name)
    if kind is None:
        raise SettingsError(f"unknown policy {name!a}", hint=f"one of {', '.join(KINDS)}")
    return Policy(
        name=name,
        rule=kind.rule,
        weights=Weights(**{**kind.weights, **(weights or {})}),
        thresholds=thresholds or LEAST.thresholds,
        max_age_s=LEAST.max_age_s if max_age_s is None else max_age_s,
        workload=workload or LEAST.workload,
        fills_shares=kind.fills_shares,
    )


def looking_ahead(policy: Policy, ahead_s: float) -> Policy:
    """The policy for the load expected then. If it weighs no forecast, that counts as much as all the rest."""
    weights = policy.weights
    if not weights.forecast:
        rest = sum(getattr(weights, name) for name in Weights.names() if name != "gpu")
        weights = replace(weights, forecast=rest)
    return replace(policy, weights=weights, ahead_s=ahead_s)
