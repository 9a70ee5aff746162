"""Wait until nodes are drained: show progress, migrate jobs, cancel own jobs at the deadline, report the result."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from clbalance.cli.audit import AuditTrail, cancel_result, migration_result
from clbalance.cli.balance.drain_force import end_others
from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.node_settings import me
from clbalance.cli.option_values import user_name
from clbalance.cli.progress import ProgressLine
from clbalance.cli.run.job_input import input_of
from clbalance.engine.drain import DrainRequest
from clbalance.engine.drain_wait import DrainMigrator, Migrate, wait_until_drained
from clbalance.engine.jobs.submitted import cancel
from clbalance.engine.migrate.migrate import migrate_jobs
from clbalance.engine.migrate.requested import Migrated, MigrationOrder, MigrationResult, NotMigrated, Undetermined
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord
from clbalance.nodeset import fold
from clbalance.policy.drain_progress import DrainProgress, Eviction, is_over
from clbalance.render import messages
from clbalance.render.reports.balance.rebalance import Action

_GONE_WITHIN_S: Final = 30.0
"""How long to wait for cancelled jobs to end."""
_SHOWN = 5


class DrainMonitor:
    """Waits for the end of one drain. `moves` migrates the jobs that can be migrated."""

    def __init__(
        self,
        services: Services,
        console: Console,
        nodes: Sequence[NodeName],
        request: DrainRequest,
        moves: DrainMigrator,
    ) -> None:
        self._services = services
        self._console = console
        self._nodes = tuple(nodes)
        self._request = request
        self._moves = moves
        self._known: Mapping[str, int] = {}
        self._line = ProgressLine(quiet=console.quiet, after_s=0.0)

    def wait(self, within_s: float | None, *, force: bool) -> tuple[DrainProgress, ...]:
        """Wait, for at most `within_s` seconds (None: no limit), and say what is left on the nodes then.

        `force`: cancel own jobs at the deadline, and as root on the nodes those of everybody.
        """
        try:
            progress = wait_until_drained(self._services, self._nodes, within_s, self._poll)
            if force and not is_over(progress):
                progress = self._end_own(progress)
            if force and not is_over(progress):
                progress = self._end_others(progress)
        finally:
            self._clear()
        self._tell_end(progress)
        return progress

    def _poll(self, progress: tuple[DrainProgress, ...]) -> None:
        self._draw(progress)
        if not is_over(progress):
            self._moves.migrate_what_fits(self._clear)

    def _end_own(self, progress: tuple[DrainProgress, ...]) -> tuple[DrainProgress, ...]:
        """Cancel own jobs that this host submitted; jobs from other hosts may have a controller there.

        If the journal fails, warn and return the present progress.
        """
        keys = {lease.key for one in progress for lease in one.own}
        try:
            known = [record for record in self._services.journal.records() if record.key in keys]
            return self._end_known(known) if known else progress
        except StoreError as error:
            self._clear()
            self._console.say(messages.warning(f"your jobs there are not cancelled: {error.message}"))
            return wait_until_drained(self._services, self._nodes, 0.0, self._draw)

    def _end_known(self, known: Sequence[JobRecord]) -> tuple[DrainProgress, ...]:
        self._clear()
        numbers = ", ".join(str(record.id) for record in known)
        jobs = "jobs" if len(known) > 1 else "job"
        self._console.say(messages.note(f"the deadline has passed: cancelling {jobs} {numbers}"))
        self._cancel(known)
        gone = {record.key for record in known}

        def are_gone(left: tuple[DrainProgress, ...]) -> bool:
            return not any(lease.key in gone for one in left for lease in one.own)

        return wait_until_drained(self._services, self._nodes, _GONE_WITHIN_S, self._draw, are_gone)

    def _end_others(self, progress: tuple[DrainProgress, ...]) -> tuple[DrainProgress, ...]:
        """Cancel what others still run where we are root."""
        self._clear()
        if not end_others(self._services, self._console, self._nodes, self._request.reason):
            return progress
        return wait_until_drained(self._services, self._nodes, _GONE_WITHIN_S, self._draw)

    def _cancel(self, known: Sequence[JobRecord]) -> None:
        """Cancel jobs, and log it in any case: an interrupt or a store error may come after the nodes were told."""
        results: dict[int, str] = {}
        try:
            reconciled = cancel(self._services, known, f"drained by {me()}: {self._request.reason}")
            results = {one.record.id: cancel_result(one) for one in reconciled}
        finally:
            log = AuditTrail(self._services, self._console)
            here = frozenset(self._nodes)
            for record in known:
                reason = f"drain {fold(here.intersection(record.nodes))}: {self._request.reason}"
                result = results.get(record.id, "result unknown: no node has confirmed its end")
                log.add(
                    Action(
                        what="cancel",
                        job=record.id,
                        name=record.name,
                        src=fold(record.nodes),
                        reason=reason,
                        result=result,
                    )
                )

    def _draw(self, progress: Sequence[DrainProgress]) -> None:
        """Show progress in one line, in place of the last."""

        def text(width: int) -> str:
            left = [one for one in progress if not one.is_drained]
            numbers = self._numbers()
            message = ", ".join(f"{one.node} ({_progress_text(one, numbers)})" for one in left[:_SHOWN])
            more = f", and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
            line = f"{len(progress) - len(left)} of {len(progress)} nodes are drained; waiting for {message}{more}"
            return line[: width - 1]

        self._line.show(text)

    def _numbers(self) -> Mapping[str, int]:
        """Numbers of the jobs in the journal, by key; if it cannot be read now, those read last."""
        try:
            self._known = {record.key: record.id for record in self._services.journal.records(over=True)}
        except StoreError as error:
            self._services.listener.store_failed(error.message)
        return self._known

    def _clear(self) -> None:
        self._line.clear()

    def _tell_end(self, progress: Sequence[DrainProgress]) -> None:
        drained = [one.node for one in progress if one.is_drained]
        numbers = self._numbers()
        if drained:
            self._console.say(messages.note(f"nothing runs any more on {fold(drained)}"))
        for one in progress:
            if one.resumed:
                self._console.say(messages.warning(f"{one.node}: in placement again: its drain mark has gone"))
            elif one.reason:
                self._console.say(messages.warning(f"{one.node}: what runs there is unknown: {one.reason}"))
            elif not one.is_drained:
                self._console.say(messages.warning(f"{one.node}: not drained yet: {_progress_text(one, numbers)}"))


def _progress_text(one: DrainProgress, numbers: Mapping[str, int]) -> str:
    """What is left on a node: the numbers of our jobs, and how many jobs each other user has.

    It contains no text from the node.
    """
    if one.reason:
        return "unknown"
    own = {lease.key for lease in one.own}
    elsewhere = len(own - numbers.keys())
    parts = [f"job {number}" for number in sorted(numbers[key] for key in own & numbers.keys())]
    parts += [f"{elsewhere} of yours from elsewhere"] if elsewhere else []
    owners = Counter(user_name(lease.uid) for lease in one.others)
    parts += [f"{count} of {owner}" for owner, count in sorted(owners.items())]
    return ", ".join(parts) or "in placement again"


# Migrate jobs off drained nodes, and report each migration.


def drain_migrator(cluster: ClusterContext, console: Console, reason: str) -> Migrate:
    """A function that migrates jobs, by the controller of each job or by this process."""

    def move(services: Services, some: Sequence[Eviction]) -> None:
        asked = [
            MigrationOrder(job=one.job, src=one.src, dst=one.dst, reason=f"{one.src} is drained: {reason}")
            for one in some
        ]
        migrate_jobs(
            services, asked, cluster.query_of_job, input_of, _MigrationReporter(services, console, reason).tell
        )

    return move


class _MigrationReporter:
    """Logs and reports each migration when it ends."""

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
                reason=f"drain {move.src}: {self._reason}",
                result=migration_result(end, move.dst),
            )
        )
        match end:
            case Migrated(node=node):
                self._console.say(messages.note(f"job {move.job}: moved from {move.src} to {node}"))
            case NotMigrated(reason=reason) | Undetermined(reason=reason):
                self._console.say(messages.warning(f"job {move.job}: not moved from {move.src}: {reason}"))
            case _:
                assert_never(end)

    def _name(self, job: int) -> str:
        """The job's name; empty if it cannot be read now."""
        try:
            record = self._services.journal.record(job)
        except StoreError:
            return ""
        return "" if record is None else record.name
