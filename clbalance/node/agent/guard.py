"""The parent of a slot's supervisor: should that die, it ends all that the slot has started (docs/design/agent.md)."""

import os
import signal
import time

from clbalance.node.agent.life import Life
from clbalance.node.agent.limits import KILL_AGAIN_S, KILL_PATIENCE_S
from clbalance.node.agent.record import Usage


def stand_guard(supervisor: int, name: str) -> None:
    """Wait for the end of that child, in a process that adopts orphans: so what it leaves are our children then."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.waitpid(supervisor, 0)
    end_what_is_left(Life(name, True, Usage()))


def end_what_is_left(life: Life) -> None:
    """Until no child is left, or nothing more can be done about it. A supervisor that ended in order has left none."""
    until = time.monotonic() + KILL_PATIENCE_S
    life.reap()
    while not life.childless and time.monotonic() < until:
        life.tree.kill()
        time.sleep(KILL_AGAIN_S)
        life.reap()
