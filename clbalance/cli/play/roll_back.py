"""Do the rollback of a playbook on the nodes that an earlier run has done: `play --rollback`."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.play.past import named_run, open_plays
from clbalance.cli.play.plan import PlannedPlay, minimum_of, planned
from clbalance.cli.play.recorded import recorded_playbook, text_of_run
from clbalance.cli.play.run_play import PlayCall
from clbalance.errors import LockedError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import PlayRun, RunState
from clbalance.model.playbook import Playbook
from clbalance.nodeset import fold
from clbalance.policy.play.outcome import state_left
from clbalance.policy.play.undo import Undo, last_states, rollback_of, undo
from clbalance.render import messages


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingBack:
    """`play --rollback [RUN]`, as typed."""

    call: PlayCall
    word: str | None
    changed: bool

    def carry_out(self) -> int:
        """The exit code."""
        call = self.call
        if call.options.variables:
            raise UsageError("`--rollback` goes with no `-e`", hint="variables are those of the run")
        with ExitStack() as stack:
            plays = open_plays(stack)
            run = named_run(plays, self.word)
            _refuse(run)
            progress = plays.progress(run.number)
            rollbacks = [plays.progress(number, output=False) for number in plays.rollbacks(run.number)]
        text = text_of_run(call.console, run, changed=self.changed, hint="`--changed` rolls back by the new text")
        recorded = recorded_playbook(run)
        if recorded is None or not text.playbook.rollback:
            what = f"the recorded text of run {run.number} cannot be read" if recorded is None else _NO_ROLLBACK
            raise UsageError(f"{run.file}: {what}", hint="write a playbook that undoes it, and play that one")
        meant = call.nodes if call.nodes.names_nodes else replace(call.nodes, nodes=[fold(run.nodes)])
        cluster = cluster_context(meant, call.ssh, call.console)
        named = cluster.candidates.nodes if call.nodes.names_nodes else ()
        found = undo(recorded, progress, rolled_back=last_states(rollbacks), named=named)
        nodes = self._nodes(run, found, cluster.candidates.nodes)
        states = {one.node: state_left(one, recorded) for one in progress}
        plan = _plan(rollback_of(text.playbook), run, found, nodes, states, cluster)
        with cluster.services(needs_store=not call.options.dry_run) as services:
            return call.begin(cluster, services, plan, replace(text, playbook=rollback_of(text.playbook)))

    def _nodes(self, run: PlayRun, found: Undo, meant: Sequence[NodeName]) -> tuple[NodeName, ...]:
        """Those to roll back. `UsageError` if there are none, or for a node that was typed and cannot be."""
        refused = [(node, found.left_out.get(node, "it is no node of the run")) for node in meant]
        refused = [(node, reason) for node, reason in refused if node not in found.nodes]
        nodes = tuple(node for node in found.nodes if node in set(meant))
        reasons = "; ".join(f"{fold(those)}: {reason}" for reason, those in _by_reason(refused))
        if not nodes or (refused and self.call.nodes.names_nodes):
            hint = f"`clbalance play --show {run.number}` shows what was done"
            raise UsageError(f"run {run.number} cannot be rolled back: {reasons}", hint=hint)
        if reasons:
            self.call.console.say(messages.note(f"left out: {reasons}"))
        return nodes


_NO_ROLLBACK = "it has no `rollback`"


def _refuse(run: PlayRun) -> None:
    if run.state is RunState.RUNNING:
        hint = f"`clbalance play --show {run.number}` shows how far it is"
        raise LockedError(f"run {run.number} of {run.playbook} has not ended", hint=hint)
    if run.rolls_back is not None:
        hint = f"`clbalance play --continue {run.number}` goes on with it"
        raise UsageError(f"run {run.number} is the rollback of run {run.rolls_back} itself", hint=hint)


def _by_reason(refused: Sequence[tuple[NodeName, str]]) -> Sequence[tuple[str, list[NodeName]]]:
    by_reason: dict[str, list[NodeName]] = {}
    for node, reason in refused:
        by_reason.setdefault(reason, []).append(node)
    return list(by_reason.items())


def _plan(
    playbook: Playbook,
    run: PlayRun,
    found: Undo,
    nodes: tuple[NodeName, ...],
    states: Mapping[NodeName, str],
    cluster: ClusterContext,
) -> PlannedPlay:
    whys = {node: f"{states[node]} in run {run.number}" for node in nodes}
    minimum = minimum_of(playbook, run.pool)
    plan = planned(playbook, whys, run.pool, minimum, cluster.settings.ssh.fanout)
    report = replace(plan.report, order=f"rollback of run {run.number}, in the reverse order")
    return replace(plan, report=report, rolls_back=run.number, registered=found.registered)
