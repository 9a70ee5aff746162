"""How far nodes are from being drained: what still runs on them, and whose it is. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Lease, Measured, NodeName, Silent, Unknown
from clbalance.policy.drain import binding_drain


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is left on one node; `why` says why that is not known, `resumed` that nothing keeps new work off it."""

    node: NodeName
    own: tuple[Lease, ...] = ()
    """Of the user whom the probe ran as, wherever they were submitted."""
    others: tuple[Lease, ...] = ()
    why: str = ""
    resumed: bool = False

    @property
    def is_drained(self) -> bool:
        """Whether nothing runs there, as far as anyone has said, and nothing new will."""
        return not (self.own or self.others or self.why or self.resumed)


def rest_on(answer: Answer, now: datetime) -> Rest:
    """What its answer says of it. A silent node may hold anything."""
    match answer:
        case Silent(node=node, cause=cause, why=why):
            return Rest(node=node, why=cause.because(why))
        case Measured(node=node, reading=reading):
            if isinstance(reading.leases, Unknown):
                return Rest(node=node, why=f"leases unknown: {reading.leases.why}")
            return Rest(
                node=node,
                own=tuple(lease for lease in reading.leases if lease.uid == reading.uid),
                others=tuple(lease for lease in reading.leases if lease.uid != reading.uid),
                resumed=binding_drain(reading, now) is None,
            )
        case _:
            assert_never(answer)


def is_over(rests: Iterable[Rest]) -> bool:
    """Whether waiting changes nothing more: each is drained, or was put back into placement."""
    return all(one.is_drained or one.resumed for one in rests)
