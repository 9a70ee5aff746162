"""`clbalance load`, the effectful part: one sweep."""

from collections.abc import Sequence

from clbalance.engine.sweep import sweep
from clbalance.engine.world import World
from clbalance.model import NodeName, Snapshot


def measure(world: World, nodes: Sequence[NodeName]) -> Snapshot:
    """A fresh snapshot of `nodes`."""
    with world.transport.sessions() as sessions:
        return sweep(world, sessions, nodes)
