"""Numbers for the states of nodes: nodes with the same number have the same score for a request, whatever their names.

A large cluster has few kinds of nodes, so what was computed for one node holds for many others, and for every node that
comes back to a state. Pure.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Answer, Measured, NodeName, Unknown

_MOST: Final = 100_000
"""Numbered states; if there are more, earlier ones get another number when they come again."""
_NO_NAME: Final = NodeName("")


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What a node is without its placements, and the positions of its GPUs by UUID."""

    number: int
    positions: Mapping[str, int]


class NodeStates:
    """The numbers; equal for equal nodes with equal placements in the same order."""

    def __init__(self) -> None:
        self._next = count()
        self._shapes: dict[Measured, int] = {}
        self._states: dict[tuple[object, ...], int] = {}

    def shape_of(self, answer: Answer) -> NodeShape:
        """The shape of a node. A real reading has the node's boot id, so it is like no other."""
        if not isinstance(answer, Measured) or not isinstance(answer.reading.boot_id, Unknown):
            return NodeShape(next(self._next), {})
        gpus = answer.reading.gpus
        if isinstance(gpus, Unknown) or any(gpu.parent for gpu in gpus):
            return NodeShape(next(self._next), {})
        positions = {uuid: at for at, uuid in enumerate(sorted(gpu.uuid for gpu in gpus))}
        unnamed = replace(
            answer,
            node=_NO_NAME,
            placed=(),
            reading=replace(answer.reading, gpus=tuple(replace(gpu, uuid=str(positions[gpu.uuid])) for gpu in gpus)),
        )
        number = self._shapes.get(unnamed)
        if number is None:
            number = self._shapes[unnamed] = next(self._next)
        return NodeShape(number, positions)

    def number_of(self, shape: NodeShape, answer: Answer) -> int:
        """The number of a node of this shape with its placements."""
        placed = answer.placed if isinstance(answer, Measured) else ()
        key = (shape.number, *[_unnamed(allocation, shape.positions) for allocation in placed])
        number = self._states.get(key)
        if number is None:
            if len(self._states) >= _MOST:
                self._states.clear()
            number = self._states[key] = next(self._next)
        return number


def _unnamed(allocation: Allocation, positions: Mapping[str, int]) -> object:
    if not allocation.gpus:
        return allocation
    return tuple([positions.get(uuid, uuid) for uuid in allocation.gpus]), replace(allocation, gpus=())
