"""Go on with a run that has stopped or paused, or whose process is gone: `play --continue`."""

import difflib
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from clbalance.cli.cluster import cluster_context
from clbalance.cli.play.files import read_playbook
from clbalance.cli.play.past import named_run, open_plays, recorded_playbook
from clbalance.cli.play.plan import PlannedPlay, minimum_of, planned
from clbalance.cli.play.run_play import PlayCall, PlayText
from clbalance.cli.play.runner import play_journal
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.play_run import NodeProgress, PlayRun, RunState
from clbalance.nodeset import fold
from clbalance.policy.play.order import NodePlace
from clbalance.policy.play.outcome import is_canary_passed, moved_step
from clbalance.policy.play.resume import Continued, continued
from clbalance.render import messages
from clbalance.store.plays.journal import SqlitePlays

_MOST_DIFFERENCE: Final = 20
"""Lines."""
_AFRESH: Final = "begin a new run on what is left: `clbalance play {file} -w @clb:play-failed,@clb:play-notstarted`"


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
            run = self._run(open_plays(stack))
        if run is None:
            call.console.say(messages.note("every node of every recorded run is done"))
            return ExitCode.DONE
        text = self._text(run)
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
            return call.run(cluster, services, plays, plan, text, run.number, before)

    def _run(self, plays: SqlitePlays) -> PlayRun | None:
        if self.word is not None:
            return named_run(plays, self.word)
        number = plays.unfinished()
        return None if number is None else plays.run(number)

    def _text(self, run: PlayRun) -> PlayText:
        """The file as it is now. `UsageError` if it has changed, unless that is meant."""
        text = read_playbook(run.file, run.typed)
        if text.playbook.text_hash != run.text_hash and not self.changed:
            hint = f"`--changed` goes on by the new text; or {_AFRESH.format(file=run.file)}"
            self.call.console.complain(_difference(run, text))
            raise UsageError(f"{run.file} has changed since run {run.number} began", hint=hint)
        return text

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
    raise UsageError(f"run {run.number} cannot go on by the new text: {what}", hint=_AFRESH.format(file=run.file))


def _plan_of(run: PlayRun, text: PlayText, most_at_once: int) -> PlannedPlay:
    places = tuple(NodePlace(node=node, reason="as recorded") for node in run.nodes)
    return planned(text.playbook, places, run.pool, minimum_of(text.playbook, run.pool), most_at_once)


def _told(run: PlayRun, before: Continued) -> str:
    left = f"{len(before.turns)} of {len(run.nodes)} nodes are left"
    told = f"run {run.number} of {run.playbook} goes on: {left}"
    if before.uncertain:
        told += (
            f"; {fold(before.uncertain)}: a step may have run, so it is not touched"
            " (`--repeat-uncertain` repeats such steps)"
        )
    return told


def _difference(run: PlayRun, text: PlayText) -> str:
    lines = list(
        difflib.unified_diff(
            run.text.splitlines(), text.text.splitlines(), f"run {run.number}", "now", lineterm="", n=1
        )
    )
    shown = lines[:_MOST_DIFFERENCE]
    if len(lines) > len(shown):
        shown.append(f"... {len(lines) - len(shown)} lines more")
    return "".join(messages.note(line) for line in shown)
