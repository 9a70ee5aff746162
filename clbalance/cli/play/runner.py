"""Wires what carries out steps, in threads, and the journal of runs."""

import threading
from collections.abc import Collection
from dataclasses import replace
from functools import partial

from clbalance.cli.balance.drain_marks import tell_doubt
from clbalance.cli.cluster import ClusterContext
from clbalance.cli.files.transfers import transfers_of
from clbalance.cli.node_settings import me
from clbalance.cli.options import SshOptions
from clbalance.engine.files.transfers import Transfers
from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.steps.nodes import NodeDrains
from clbalance.engine.play.steps.runner import SshSteps
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, StoreError
from clbalance.model import NodeName
from clbalance.model.play_run import Result, StepEnded, StepState
from clbalance.ports import Transport
from clbalance.store.in_memory import InMemoryStore
from clbalance.store.plays.journal import SqlitePlays
from clbalance.store.state import SqliteStore


def step_runner(cluster: ClusterContext, ssh: SshOptions, services: Services, folder: str) -> SshSteps:
    """Carries out steps over ssh. `folder`: of the playbook."""
    in_threads = replace(services, store=InMemoryStore(), listener=_Unseen())

    def transfers_over(transport: Transport) -> Transfers:
        return transfers_of(replace(cluster, transport=transport), ssh)

    return SshSteps(
        services=in_threads,
        drains=NodeDrains(in_threads, me(), partial(tell_doubt, cluster.console), threading.Lock()),
        transfers_over=transfers_over,
        rebalance=lambda facts: _rebalance(cluster, ssh, facts),
        folder=folder,
    )


def play_journal(services: Services) -> SqlitePlays:
    """The record of runs, in the state database of this host."""
    if not isinstance(services.store, SqliteStore):
        raise StoreError("a run of a playbook must be recorded, and there is no state database")
    return services.store.plays(services.fail_point)


_REBALANCED_WITHIN_S = 3600


def _rebalance(cluster: ClusterContext, ssh: SshOptions, facts: StepFacts) -> StepEnded:
    """In a process of its own, as `rebalance` uses the state database and signals. Its lines are the step's output."""
    import subprocess  # for this action alone
    import sys

    words = [sys.executable, "-m", "clbalance", "rebalance", "--apply", "-q", "-w", ",".join(facts.nodes)]
    words += [word for option in ssh.ssh_options or () for word in ("-o", option)]
    if cluster.groups_conf is not None:
        words += ["--groups-conf", str(cluster.groups_conf)]
    try:
        ended = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_REBALANCED_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        reason = f"it did not end within {_REBALANCED_WITHIN_S // 60} minutes"
        return StepEnded(state=StepState.FAILED, reason=reason)
    result = Result(rc=ended.returncode, out=ended.stdout, err=ended.stderr)
    match ended.returncode:
        case ExitCode.DONE:
            return StepEnded(state=StepState.OK, reason="; ".join(ended.stdout.splitlines()), result=result)
        case ExitCode.LOCKED:  # as under cron: it does the same
            return StepEnded(state=StepState.OK, reason="another `rebalance` is at work", result=result, changed=False)
        case code:
            reason = ended.stderr.strip()[-400:] or f"exit code {code}"
            return StepEnded(state=StepState.FAILED, reason=reason, result=result)


class _Unseen:
    """The sweeps of steps are not shown."""

    def asked(self, total: int) -> None:
        """Nothing."""

    def answered(self, node: NodeName) -> None:
        """Nothing."""

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        """Nothing."""

    def store_failed(self, reason: str) -> None:
        """Nothing."""

    def done(self) -> None:
        """Nothing."""
