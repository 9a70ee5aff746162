"""Filters and scorers of installed Python packages, as a policy has them (docs/design/plugins.md).

Each is a function that never raises: `wiring/plugins/rules.py` contains the errors of the plug-in.
"""

from collections.abc import Callable
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Request, Unknown

FilterRule: TypeAlias = Callable[[Measured, Request], str | Unknown | None]
"""Why the node does not fit; None: it does; unknown: the plug-in failed."""
ScoreRule: TypeAlias = Callable[[Measured, Request], float | Unknown]
"""Points from 0 to 100; unknown: the plug-in failed."""


@dataclass(frozen=True, slots=True)
class SiteFilter:
    """A filter by its name."""

    name: str
    unfit: FilterRule


@dataclass(frozen=True, slots=True)
class SiteScorer:
    """A scorer by its name, with its weight."""

    name: str
    points: ScoreRule
    weight: float


@dataclass(frozen=True, slots=True)
class SiteRules:
    """All of them."""

    filters: tuple[SiteFilter, ...] = ()
    scorers: tuple[SiteScorer, ...] = ()


NO_RULES = SiteRules()
