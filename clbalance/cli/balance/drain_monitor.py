"""Wait for nodes that are drained: progress, jobs that are moved off, the deadline, the end."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from clbalance.cli.audit import AuditTrail, cancel_result, migration_result
from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.job_selection import me
from clbalance.cli.option_values import user_name
from clbalance.cli.run.submission import input_of
from clbalance.engine.drain import DrainWish
from clbalance.engine.drain_wait import MovesOff, MoveThem, wait_until_drained
from clbalance.engine.jobs.submitted import cancel
from clbalance.engine.migrate.migrate import migrate_jobs
from clbalance.engine.migrate.requested import Migrated, MigrationOrder, MigrationResult, NotMigrated, Undetermined
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, StoreError
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord
from clbalance.nodeset import fold
from clbalance.policy.drain_progress import Evacuation, Rest, is_over
from clbalance.render import messages
from clbalance.render.reports.balance.rebalance import Action

_GONE_WITHIN_S: Final = 30.0
"""For jobs that were cancelled to be gone."""
_SHOWN = 5


class DrainMonitor:
    """One wait. `moves`: who moves what may be moved."""

    def __init__(
        self, services: Services, console: Console, nodes: Sequence[NodeName], wish: DrainWish, moves: MovesOff
    ) -> None:
        self._services = services
        self._console = console
        self._nodes = tuple(nodes)
        self._wish = wish
        self._moves = moves
        self._known: Mapping[str, int] = {}
        self._draws = console.outlets.stderr.terminal and not console.quiet and os.environ.get("TERM") != "dumb"

    def wait(self, within_s: float | None, *, force: bool) -> int:
        """The exit code: 0 when nothing runs on any of them any more."""
        try:
            rests = wait_until_drained(self._services, self._nodes, within_s, self._look)
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
            known = [record for record in self._services.journal.records() if record.key in keys]
            return self._end_known(known) if known else rests
        except StoreError as error:
            self._clear()
            self._console.say(messages.warning(f"your jobs there are not cancelled: {error.message}"))
            return wait_until_drained(self._services, self._nodes, 0.0, self._draw)

    def _end_known(self, known: Sequence[JobRecord]) -> tuple[Rest, ...]:
        self._clear()
        numbers = ", ".join(str(record.id) for record in known)
        jobs = "jobs" if len(known) > 1 else "job"
        self._console.say(messages.note(f"the deadline has passed: cancelling {jobs} {numbers}"))
        self._cancel(known)
        gone = {record.key for record in known}

        def are_gone(left: tuple[Rest, ...]) -> bool:
            return not any(lease.key in gone for rest in left for lease in rest.own)

        return wait_until_drained(self._services, self._nodes, _GONE_WITHIN_S, self._draw, are_gone)

    def _cancel(self, known: Sequence[JobRecord]) -> None:
        """Written down however that goes: they may have been told to end before we are stopped, or memory fails."""
        results: dict[int, str] = {}
        try:
            reconciled = cancel(self._services, known, f"drained by {me()}: {self._wish.reason}")
            results = {one.record.id: cancel_result(one) for one in reconciled}
        finally:
            log = AuditTrail(self._services, self._console)
            here = frozenset(self._nodes)
            for record in known:
                why = f"drain {fold(here.intersection(record.nodes))}: {self._wish.reason}"
                result = results.get(record.id, "unsettled: no node has confirmed its end")
                log.add(
                    Action(
                        what="cancel", job=record.id, name=record.name, src=fold(record.nodes), why=why, result=result
                    )
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
        self._console.outlets.stderr.send(f"\r\x1b[K{line[:width]}".encode())

    def _numbers(self) -> Mapping[str, int]:
        """Of the jobs that this host remembers, by key; where it cannot be read now, as it was before."""
        try:
            self._known = {record.key: record.id for record in self._services.journal.records(over=True)}
        except StoreError as error:
            self._services.listener.forgot(error.message)
        return self._known

    def _clear(self) -> None:
        if self._draws:
            self._console.outlets.stderr.send(b"\r\x1b[K")

    def _tell_end(self, rests: Sequence[Rest]) -> int:
        drained = [rest.node for rest in rests if rest.is_drained]
        numbers = self._numbers()
        if drained:
            self._console.say(messages.note(f"nothing runs any more on {fold(drained)}"))
        for rest in rests:
            if rest.resumed:
                self._console.say(messages.warning(f"{rest.node}: in placement again: its drain mark has gone"))
            elif rest.why:
                self._console.say(messages.warning(f"{rest.node}: what runs there is unknown: {rest.why}"))
            elif not rest.is_drained:
                self._console.say(messages.warning(f"{rest.node}: not drained yet: {_told(rest, numbers)}"))
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


# Move jobs off nodes that are drained, and say what came of each.


def moves_off(cluster: ClusterContext, console: Console, reason: str) -> MoveThem:
    """Who carries them out: whoever has each job in hand, or this process."""

    def move(services: Services, some: Sequence[Evacuation]) -> None:
        asked = [
            MigrationOrder(job=one.job, src=one.src, dst=one.dst, why=f"{one.src} is drained: {reason}") for one in some
        ]
        migrate_jobs(services, asked, cluster.query_of_job, input_of, _Telling(services, console, reason).tell)

    return move


class _Telling:
    """Each move is written down and told of as it ends."""

    def __init__(self, services: Services, console: Console, reason: str) -> None:
        self._services = services
        self._console = console
        self._reason = reason
        self._log = AuditTrail(services, console)

    def tell(self, move: MigrationOrder, end: MigrationResult) -> None:
        self._log.add(
            Action(
                what="move",
                job=move.job,
                name=self._name(move.job),
                src=move.src,
                dst=move.dst,
                why=f"drain {move.src}: {self._reason}",
                result=migration_result(end, move.dst),
            )
        )
        match end:
            case Migrated(node=node):
                self._console.say(messages.note(f"job {move.job}: moved from {move.src} to {node}"))
            case NotMigrated(why=why) | Undetermined(why=why):
                self._console.say(messages.warning(f"job {move.job}: not moved from {move.src}: {why}"))
            case _:
                assert_never(end)

    def _name(self, job: int) -> str:
        """Empty where memory fails now."""
        try:
            record = self._services.journal.record(job)
        except StoreError:
            return ""
        return "" if record is None else record.name
