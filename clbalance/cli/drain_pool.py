"""What `--min-available` counts: which nodes, and how many of them there must be."""

import re
from dataclasses import replace

from clbalance.cli.options import NodeOptions
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.floor import floor_of

_NUMBER = re.compile(r"(\d{1,6})|(\d{1,3}(?:\.\d{1,3})?)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """As typed: so many nodes, or such a share of the pool in per cent."""

    number: float
    is_pct: bool

    def of(self, pool: tuple[NodeName, ...]) -> int:
        """So many nodes. `UsageError` for more than there are."""
        floor = floor_of(self.number, is_pct=self.is_pct, pool=len(pool))
        if floor > len(pool):
            raise UsageError(
                f"`--min-available` cannot be {self.number:g}: there are {len(pool)} nodes in all",
                hint="they are counted in the groups of `-g`, or everywhere",
            )
        return floor


def parse_floor(text: str) -> Floor:
    """What was typed after `--min-available`."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None or (found[2] and float(found[2]) > 100):
        raise UsageError(
            f"`--min-available` cannot be {text[:40]!r}", hint="a number of nodes, or a share such as `80%`"
        )
    return Floor(number=float(found[1] or found[2]), is_pct=bool(found[2]))


def drained_and_pool(nodes: NodeOptions) -> tuple[NodeOptions, NodeOptions]:
    """Which are drained, and among which the others are counted.

    Where nodes are named, groups say only where to count: nobody who names one node means to drain its whole group.
    """
    counted = replace(nodes, nodes=None, exclude=None, exclude_groups=None)
    if nodes.nodes:
        everywhere = nodes.everything or not nodes.groups
        return replace(nodes, groups=None, everything=False), replace(counted, everything=everywhere)
    return nodes, counted
