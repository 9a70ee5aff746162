"""Write the audit log: actions on jobs, with user, time and reason."""

import os
import socket
from functools import cached_property
from typing import assert_never

from clbalance.cli.console import Console
from clbalance.cli.node_settings import me
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.migrate.requested import Migrated, MigrationResult, NotMigrated, Undetermined
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import NodeName
from clbalance.model.job_record import Lost
from clbalance.policy.jobs.outcome import became_of, reason_of
from clbalance.render import messages
from clbalance.render.reports.balance.rebalance import Action
from clbalance.store.append_logs import AuditLog
from clbalance.store.location import state_directory, this_machine


class AuditTrail:
    """The audit log of this host. If an action cannot be logged, there is a warning, and the action goes on."""

    def __init__(self, services: Services, console: Console) -> None:
        self._services = services
        self._console = console

    def add(self, action: Action, scores: tuple[float | None, float | None] = (None, None)) -> None:
        """Append a line. `scores`: of the nodes before a plan and after it, if there is one."""
        try:
            self._log.add(
                at=self._services.clock.now().isoformat(timespec="seconds"),
                who=me(),
                host=socket.gethostname(),
                what=action.what,
                job=action.job,
                name=action.name,
                src=action.src or None,
                dst=action.dst or None,
                why=action.reason,
                gain=action.gain,
                score_before=scores[0],
                score_after=scores[1],
                result=action.result,
            )
        except StoreError as error:
            self._console.say(messages.warning(f"not in the audit log: {error.message}"))

    @cached_property
    def _log(self) -> AuditLog:
        return AuditLog(state_directory(os.environ, this_machine()).path)


def migration_result(end: MigrationResult, dst: NodeName) -> str:
    """The result of a migration to `dst`, in a few words."""
    match end:
        case Migrated(node=node):
            return "moved" if node == dst else f"moved, to {node}"
        case NotMigrated(reason=reason):
            return f"not moved: {reason}"
        case Undetermined(reason=reason):
            return f"unsettled: {reason}"
        case _:
            assert_never(end)


def cancel_result(one: Reconciled) -> str:
    """The result of cancelling a job, in a few words."""
    silent = [f"{outcome.node}: {reason_of(outcome.end)}" for outcome in one.outcomes if isinstance(outcome.end, Lost)]
    if silent:
        return f"unsettled: {'; '.join(silent)}"
    return became_of(one.record, one.outcomes, all_ended=one.all_ended)
