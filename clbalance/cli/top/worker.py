"""The thread that asks the nodes, round by round, while the main thread draws and reads keys."""

import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.kept_sessions import keeping_sessions
from clbalance.cli.top.open_node import OpenNodeReader
from clbalance.cli.top.rounds import Rounds, least_answer_s
from clbalance.engine.kept.transport import KeptTransport
from clbalance.engine.services import Services
from clbalance.errors import ClbalanceError
from clbalance.model import Measured, NodeName
from clbalance.policy.heat import NodeGroup
from clbalance.render.top.node_details import OpenNode
from clbalance.render.top.round import Round

_LOOKS_UP_EVERY_S = 0.2
"""While it rests, for the end."""
_ENDS_WITHIN_S = 2.0


class _EndedError(Exception):
    """The screen is closed, and the round with it."""


class Worker:
    """Asks all nodes again and again, over sessions that it keeps."""

    def __init__(
        self,
        cluster: ClusterContext,
        groups: tuple[NodeGroup, ...],
        told: Callable[[Round], None],
        looked: Callable[[OpenNode], None],
        failed: Callable[[str], None],
    ) -> None:
        """`told` gets each round, and `looked` what the open node says beyond that, in its thread."""
        self._cluster = cluster
        self._groups = groups
        self._told = told
        self._looked = looked
        self._failed = failed
        self._is_ended = threading.Event()
        self._is_hurried = threading.Event()
        self._thread = threading.Thread(target=self._work, name="top", daemon=True)
        self.every_s = 2.0
        """From the beginning of a round to that of the next."""
        self.open_node: NodeName | None = None
        """The node whose details are open."""
        self._reader: OpenNodeReader | None = None

    def begin(self) -> None:
        """Begin with the first round."""
        self._thread.start()

    def hurry(self) -> None:
        """Begin the next round now."""
        self._is_hurried.set()

    def end(self) -> None:
        """End the round that is on its way, and all sessions."""
        self._is_ended.set()
        self._thread.join(_ENDS_WITHIN_S)

    # -- its thread

    def _work(self) -> None:
        try:
            with (
                self._cluster.services(meanwhile="clbalance.cli.top.rounds") as usual,
                keeping_sessions(usual, least_s=least_answer_s(self.every_s)) as kept,
            ):
                self._ask(replace(usual, transport=kept, listener=self), kept)
        except _EndedError:
            pass
        except (ClbalanceError, OSError) as error:
            self._failed(str(getattr(error, "message", error)))

    def _ask(self, services: Services, kept: KeptTransport) -> None:
        rounds = Rounds(self._cluster, services, self._groups, lambda: kept.count)
        clock = services.clock
        while not self._is_ended.is_set():
            began_s = clock.monotonic()
            found = rounds.next(self._told)
            self._told(found)
            self._look(services, found)
            while not self._is_ended.is_set() and not self._is_hurried.is_set():
                left_s = began_s + self.every_s - clock.monotonic()
                if left_s <= 0:
                    break
                kept.rest(min(left_s, _LOOKS_UP_EVERY_S))
                if self._is_opened():
                    self._look(services, found)
            self._is_hurried.clear()

    def _is_opened(self) -> bool:
        """Whether another node is open than the one that was read."""
        node = self.open_node
        return node is not None and (self._reader is None or self._reader.node != node)

    def _look(self, services: Services, found: Round) -> None:
        """Ask the open node for more."""
        if (node := self.open_node) is None:
            self._reader = None
            return
        if self._reader is None or self._reader.node != node:
            self._reader = OpenNodeReader(services, node)
        answering = {row.node for row in found.rows if isinstance(row.answer, Measured)}
        self._looked(self._reader.read(answers=node in answering))

    # -- what a sweep tells (`ports.SweepListener`): it is where a round can be ended

    def asked(self, total: int) -> None:
        pass

    def answered(self, node: NodeName) -> None:
        pass

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        if self._is_ended.is_set():
            raise _EndedError

    def done(self) -> None:
        pass

    def store_failed(self, reason: str) -> None:
        self._failed(f"continuing without the state database: {reason}")
