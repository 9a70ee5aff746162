"""The live screen of `top` without nodes: `python -m tests.bench.drawing ROUNDS ROWS`. Each round changes all rows."""

import contextlib
import os
import random
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial

from clbalance.cli.top.acts import TerminalCommand
from clbalance.cli.top.live import LiveTop
from clbalance.cli.top.screen import Screen
from clbalance.errors import Interrupted
from clbalance.policy.top.state import TopState
from clbalance.render.sparkline import UNICODE
from clbalance.render.top.narrow import parse_filter
from clbalance.render.top.round import Round
from tests.render.build import up

_EVERY_S = 0.05
_DIFFERENT = 10


class Rounds:
    """In place of the thread that asks nodes."""

    every_s = 60.0
    open_node = None

    def __init__(self, live: LiveTop, rounds: int, rows: int) -> None:
        self._live = live
        self._rounds = rounds
        self._made = [_round(rows) for _ in range(_DIFFERENT)]
        """Beforehand: to make them is not to draw them."""
        self._thread = threading.Thread(target=self._tell)

    def begin(self) -> None:
        self._thread.start()

    def hurry(self) -> None: ...

    def end(self) -> None:
        self._thread.join()

    def _tell(self) -> None:
        for number in range(self._rounds):
            self._live.told(self._made[number % _DIFFERENT])
            time.sleep(_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)


def _round(rows: int) -> Round:
    found = tuple(up(f"node{at}", r1m=random.uniform(0, 64)) for at in range(rows))
    return Round(number=1, taken_at=datetime.now(UTC), rows=found)


def main(rounds: int, rows: int) -> None:
    screen = Screen(
        TopState(),
        Round(number=0, taken_at=datetime.now(UTC), rows=()),
        UNICODE,
        partial(parse_filter, labels=frozenset()),
    )

    def nothing(_: object) -> TerminalCommand:
        raise AssertionError

    live = LiveTop(screen, nothing, every_s=60.0, color=True)
    with contextlib.suppress(Interrupted):
        live.run(Rounds(live, rounds, rows))  # type: ignore[arg-type]  # all of a worker that is used


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
