"""What a user says of the nodes that he would have, beside what his work takes of them. Frozen values."""

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Rather nodes whose `label` has this value; `weight` counts against those of the scorers."""

    label: str
    value: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Expressions are kept as texts (docs/design/expressions.md): so a job that is remembered can be placed again."""

    where: str = ""
    """What holds of every node that is used; empty: anything does."""
    order: str = ""
    """What nodes are ranked by, the smallest first, instead of the policy's weights; empty: by those."""
    tolerated: frozenset[str] = frozenset()
    """Taints that do not matter."""
    preferences: tuple[Preference, ...] = ()
    near: tuple[str, ...] = ()
    """Names of jobs, each of which holds a lease on every node that is used."""
    apart: tuple[str, ...] = ()
    """Names of jobs, none of which does."""
    same: str = ""
    """A label that has one value on all nodes that are used."""


UNCONSTRAINED = Constraints()
