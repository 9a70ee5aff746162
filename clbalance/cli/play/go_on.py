"""Go on with a run that has stopped or paused, or whose process is gone: `play --continue`."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime

from clbalance.cli.cluster import cluster_context
from clbalance.cli.play.files import PlayText
from clbalance.cli.play.past import named_run, open_plays
from clbalance.cli.play.plan import PlannedPlay, minimum_of, planned
from clbalance.cli.play.recorded import AFRESH, recorded_playbook, text_of_run
from clbalance.cli.play.run_play import PlayCall
from clbalance.cli.play.runner import play_journal
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeProgress, PlayRun, Result, RunState
from clbalance.nodeset import fold
from clbalance.policy.play.outcome import is_canary_passed, moved_step
from clbalance.policy.play.resume import Continued, continued
from clbalance.policy.play.undo import registered_by
from clbalance.render import messages
from clbalance.store.plays.journal import SqlitePlays
from clbalance.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuing:
    """`play --continue [RUN]`, as typed."""

    call: PlayCall
    word: str | None
    changed: bool
    repeat_uncertain: bool

    def carry_out(self) -> int:
        """The exit code."""
        call = self.call
        if call.nodes.names_nodes or call.options.variables or call.options.dry_run:
            hint = "nodes and variables are those of the run; leave the options out"
            raise UsageError("`--continue` goes with no `-w`, `-g`, `-a`, `-e` or `--dry-run`", hint=hint)
        with ExitStack() as stack:
            recorded = open_plays(stack)
            run = self._run(recorded)
            rollbacks = () if run is None else recorded.rollbacks(run.number)
        if run is None:
            call.console.say(messages.note("every node of every recorded run is done"))
            return ExitCode.DONE
        if rollbacks:
            message = f"run {run.number} was rolled back by run {rollbacks[-1]}"
            raise UsageError(message, hint=AFRESH.format(file=run.file))
        hint = f"`--changed` goes on by the new text; or {AFRESH.format(file=run.file)}"
        text = text_of_run(call.console, run, changed=self.changed, hint=hint)
        nodes = replace(call.nodes, nodes=[fold(run.nodes)])
        cluster = cluster_context(nodes, call.ssh, call.console)
        with cluster.services(needs_store=True) as services, closing(play_journal(services)) as plays:
            if text.playbook.text_hash != run.text_hash:
                _refuse_moved_steps(run, text, plays.progress(run.number))
            # The record is read once nobody else can write it: a step that another process has done is not done again.
            run = plays.go_on(run.number, datetime.now(UTC), text.text, text.playbook.text_hash)
            before = self._before(plays, run, text)
            call.console.say(messages.note(_told(run, before)))
            plan = _plan_of(run, text, cluster.settings.ssh.fanout)
            plan = replace(plan, rolls_back=run.rolls_back, registered=_registered(plays, run))
            return call.run(cluster, services, plays, plan, text, run.number, before)

    def _run(self, plays: SqlitePlays) -> PlayRun | None:
        if self.word is not None:
            return named_run(plays, self.word)
        number = plays.unfinished()
        return None if number is None else plays.run(number)

    def _before(self, plays: SqlitePlays, run: PlayRun, text: PlayText) -> Continued:
        progress = plays.progress(run.number)
        passed = is_canary_passed(
            text.playbook,
            progress,
            paused_to_ask=run.state is RunState.PAUSED and "`stop_after`" not in run.reason,
        )
        return continued(text.playbook, progress, repeat_uncertain=self.repeat_uncertain, canary_passed=passed)


def _refuse_moved_steps(run: PlayRun, text: PlayText, progress: Sequence[NodeProgress]) -> None:
    """The record counts steps by their places: those that were begun must be where they were."""
    old = recorded_playbook(run)
    name = "" if old is None else moved_step(old, text.playbook, progress)
    if old is not None and not name:
        return
    what = "its recorded text cannot be read" if old is None else f"step `{name}` was begun, and has another place now"
    raise UsageError(f"run {run.number} cannot go on by the new text: {what}", hint=AFRESH.format(file=run.file))


def _plan_of(run: PlayRun, text: PlayText, most_at_once: int) -> PlannedPlay:
    whys = dict.fromkeys(run.nodes, "as recorded")
    return planned(text.playbook, whys, run.pool, minimum_of(text.playbook, run.pool), most_at_once)


def _registered(plays: SqlitePlays, run: PlayRun) -> Mapping[NodeName, Mapping[str, Result]]:
    """Of a rollback: what the steps of the run that it rolls back have registered."""
    earlier = None if run.rolls_back is None else plays.run(run.rolls_back)
    playbook = None if earlier is None else recorded_playbook(earlier)
    if earlier is None or playbook is None:
        return {}
    return registered_by(playbook, plays.progress(earlier.number))


def _told(run: PlayRun, before: Continued) -> str:
    left = f"{len(before.turns)} of {counted(len(run.nodes), 'node')} left to do"
    told = f"run {run.number} of {run.playbook} goes on: {left}"
    if before.uncertain:
        told += (
            f"; {fold(before.uncertain)}: a step may have run, so it is not touched"
            " (`--repeat-uncertain` repeats such steps)"
        )
    return told
