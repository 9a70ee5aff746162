"""Wait for nodes that are drained: what is shown meanwhile, what the deadline does, and what is said in the end."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from clbalance.cli.deed_log import DeedLog, cancel_result
from clbalance.cli.job_world import me
from clbalance.cli.screen import Screen
from clbalance.cli.user_names import user_name
from clbalance.engine.await_drained import await_drained
from clbalance.engine.drain_keeping import DrainWish
from clbalance.engine.evacuate import MovesOff
from clbalance.engine.known import cancel
from clbalance.engine.world import World
from clbalance.errors import ExitCode, StoreError
from clbalance.job import JobRecord
from clbalance.model import NodeName
from clbalance.nodes import fold
from clbalance.policy.drain_progress import Rest, is_over
from clbalance.render import talk
from clbalance.render.reports.rebalance import Deed

_GONE_WITHIN_S: Final = 30.0
"""For jobs that were cancelled to be gone."""
_SHOWN = 5


class DrainMonitor:
    """One wait. `moves`: who moves what may be moved."""

    def __init__(
        self, world: World, screen: Screen, nodes: Sequence[NodeName], wish: DrainWish, moves: MovesOff
    ) -> None:
        self._world = world
        self._screen = screen
        self._nodes = tuple(nodes)
        self._wish = wish
        self._moves = moves
        self._known: Mapping[str, int] = {}
        self._draws = screen.outlets.stderr.terminal and not screen.quiet and os.environ.get("TERM") != "dumb"

    def wait(self, within_s: float | None, *, force: bool) -> int:
        """The exit code: 0 when nothing runs on any of them any more."""
        try:
            rests = await_drained(self._world, self._nodes, within_s, self._look)
            if force and not is_over(rests):
                rests = self._end_own(rests)
        finally:
            self._clear()
        return self._tell_end(rests)

    def _look(self, rests: tuple[Rest, ...]) -> None:
        self._draw(rests)
        if not is_over(rests):
            self._moves.go_on(self._clear)

    def _end_own(self, rests: tuple[Rest, ...]) -> tuple[Rest, ...]:
        """Those that this host remembers; what was submitted elsewhere may be waited for there.

        Where memory fails, that is told, and how it stands then is looked at as ever.
        """
        keys = {lease.key for rest in rests for lease in rest.own}
        try:
            known = [record for record in self._world.journal.records() if record.key in keys]
            return self._end_known(known) if known else rests
        except StoreError as error:
            self._clear()
            self._screen.say(talk.warning(f"your jobs there are not cancelled: {error.message}"))
            return await_drained(self._world, self._nodes, 0.0, self._draw)

    def _end_known(self, known: Sequence[JobRecord]) -> tuple[Rest, ...]:
        self._clear()
        numbers = ", ".join(str(record.id) for record in known)
        jobs = "jobs" if len(known) > 1 else "job"
        self._screen.say(talk.note(f"the deadline has passed: cancelling {jobs} {numbers}"))
        self._cancel(known)
        gone = {record.key for record in known}

        def are_gone(left: tuple[Rest, ...]) -> bool:
            return not any(lease.key in gone for rest in left for lease in rest.own)

        return await_drained(self._world, self._nodes, _GONE_WITHIN_S, self._draw, are_gone)

    def _cancel(self, known: Sequence[JobRecord]) -> None:
        """Written down however that goes: they may have been told to end before we are stopped, or memory fails."""
        results: dict[int, str] = {}
        try:
            visited = cancel(self._world, known, f"drained by {me()}: {self._wish.reason}")
            results = {one.record.id: cancel_result(one) for one in visited}
        finally:
            log = DeedLog(self._world, self._screen)
            here = frozenset(self._nodes)
            for record in known:
                why = f"drain {fold(here.intersection(record.nodes))}: {self._wish.reason}"
                result = results.get(record.id, "unsettled: no node has confirmed its end")
                log.add(
                    Deed(what="cancel", job=record.id, name=record.name, src=fold(record.nodes), why=why, result=result)
                )

    # What is said

    def _draw(self, rests: Sequence[Rest]) -> None:
        """On a terminal, one line that replaces itself."""
        if not self._draws:
            return
        left = [rest for rest in rests if not rest.is_drained]
        numbers = self._numbers()
        told = ", ".join(f"{rest.node} ({_told(rest, numbers)})" for rest in left[:_SHOWN])
        more = f", and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        line = f"{len(rests) - len(left)} of {len(rests)} nodes are drained; waiting for {told}{more}"
        width = shutil.get_terminal_size().columns - 1
        self._screen.outlets.stderr.send(f"\r\x1b[K{line[:width]}".encode())

    def _numbers(self) -> Mapping[str, int]:
        """Of the jobs that this host remembers, by key; where it cannot be read now, as it was before."""
        try:
            self._known = {record.key: record.id for record in self._world.journal.records(over=True)}
        except StoreError as error:
            self._world.listener.forgot(error.message)
        return self._known

    def _clear(self) -> None:
        if self._draws:
            self._screen.outlets.stderr.send(b"\r\x1b[K")

    def _tell_end(self, rests: Sequence[Rest]) -> int:
        drained = [rest.node for rest in rests if rest.is_drained]
        numbers = self._numbers()
        if drained:
            self._screen.say(talk.note(f"nothing runs any more on {fold(drained)}"))
        for rest in rests:
            if rest.resumed:
                self._screen.say(talk.warning(f"{rest.node}: in placement again: its drain mark has gone"))
            elif rest.why:
                self._screen.say(talk.warning(f"{rest.node}: what runs there is unknown: {rest.why}"))
            elif not rest.is_drained:
                self._screen.say(talk.warning(f"{rest.node}: not drained yet: {_told(rest, numbers)}"))
        return ExitCode.DONE if len(drained) == len(rests) else ExitCode.SOME_NODES_FAILED


def _told(rest: Rest, numbers: Mapping[str, int]) -> str:
    """What is left on a node: numbers of our jobs, and how many of whom else. No word of a node's own."""
    if rest.why:
        return "unknown"
    own = {lease.key for lease in rest.own}
    elsewhere = len(own - numbers.keys())
    told = [f"job {number}" for number in sorted(numbers[key] for key in own & numbers.keys())]
    told += [f"{elsewhere} of yours from elsewhere"] if elsewhere else []
    owners = Counter(user_name(lease.uid) for lease in rest.others)
    told += [f"{count} of {owner}" for owner, count in sorted(owners.items())]
    return ", ".join(told) or "in placement again"
