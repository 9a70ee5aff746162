"""Carry out `play NAME`: plan, show, ask, run, report (docs/design/playbooks.md)."""

import contextlib
import signal
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime

from clbalance.cli.audit import AuditTrail
from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.console import Console
from clbalance.cli.node_settings import me
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.play.check import show_checks
from clbalance.cli.play.files import PlayText
from clbalance.cli.play.options import PlayOptions
from clbalance.cli.play.past import keep_node_sets
from clbalance.cli.play.plan import PlannedPlay, plan_play
from clbalance.cli.play.progress import PlayProgress
from clbalance.cli.play.runner import play_journal, step_runner
from clbalance.cli.play.sources import check_sources
from clbalance.cli.play.trail import PlayTrail
from clbalance.engine.play.play import PlayEnded, play
from clbalance.engine.play.turns import PlayPorts, PlayRequest
from clbalance.engine.play.workers import ThreadWorkers
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, Interrupted, LockedError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.play_run import NodeState, PlayRun, RunState
from clbalance.model.playbook import DrainNode, Playbook, Reboot
from clbalance.policy.play.resume import Continued
from clbalance.render import messages
from clbalance.render.format import Format
from clbalance.render.reports.play.result import PlayResult
from clbalance.store.plays.journal import SqlitePlays


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayCall:
    """One call of `clbalance play NAME`."""

    nodes: NodeOptions
    ssh: SshOptions
    console: Console
    options: PlayOptions

    def carry_out(self, text: PlayText) -> int:
        """The exit code."""
        playbook = text.playbook
        check_sources(text)
        cluster = cluster_context(nodes_meant(self.nodes, playbook), self.ssh, self.console)
        with cluster.services(needs_store=not self.options.dry_run) as services:
            planned = plan_play(cluster, self.nodes, self.ssh, services, playbook)
            return self.begin(cluster, services, planned, text)

    def begin(self, cluster: ClusterContext, services: Services, planned: PlannedPlay, text: PlayText) -> int:
        """Show the plan, ask, and carry it out as a new run; with `--dry-run` only show it. The exit code."""
        if self.options.dry_run:
            runner = step_runner(cluster, self.ssh, services, text.folder)
            return show_checks(self.console, runner, planned, text.playbook)
        if sys.stderr.isatty() or self.options.verbose:  # cron is told of what fails, not of what is planned
            self.console.say(replace(self.console.display_aside, form=Format.HUMAN).text(planned.report))
        if asks_first(text.playbook) and not self.options.yes and ask_on_terminal("begin?") is False:
            self.console.say(messages.note("nothing was done"))
            return ExitCode.FAILED
        with contextlib.closing(play_journal(services)) as journal:
            try:
                number = journal.begin(_run_of(text, planned))
            except LockedError as error:
                if self.console.quiet:  # under cron the next run follows
                    return error.exit_code
                raise
            return self.run(cluster, services, journal, planned, text, number)

    def run(
        self,
        cluster: ClusterContext,
        services: Services,
        journal: SqlitePlays,
        planned: PlannedPlay,
        text: PlayText,
        number: int,
        before: Continued | None = None,
    ) -> int:
        """Run it, or go on with it after `before`, and report. The exit code."""
        playbook = text.playbook
        trail = PlayTrail(AuditTrail(services, self.console), playbook.name, number)
        progress = PlayProgress(self.console, playbook, len(planned.nodes), trail, each_step=self.options.verbose)
        goes_on = before is not None

        def ask(question: str) -> bool | None:
            progress.clear()
            # Whoever continues a run that has paused means that it goes on.
            return True if (answer := ask_on_terminal(question)) is None and goes_on else answer

        request = _request_of(number, playbook, planned, cluster.settings.ssh.fanout, before)
        ports = PlayPorts(
            journal=journal,
            clock=services.clock,
            workers=ThreadWorkers(),
            runner=step_runner(cluster, self.ssh, services, text.folder),
            listener=progress,
            ask=ask,
        )
        try:
            ended = play(ports, request)
        except Interrupted as stop:
            progress.clear()
            self._tell_interrupted(number, playbook, journal, stop)
            raise
        finally:
            keep_node_sets(journal, number, self.console)
        progress.clear()
        return self._report(number, playbook, ended)

    def _tell_interrupted(self, number: int, playbook: Playbook, journal: SqlitePlays, stop: Interrupted) -> None:
        """How to go on, and what is known of each node; not if nobody reads it any more."""
        self.console.complain(messages.note(f"interrupted; `clbalance play --continue {number}` goes on"))
        if stop.signum == signal.SIGPIPE:
            return
        nodes = tuple(journal.progress(number, output=False))
        state = RunState.INTERRUPTED
        self.console.show(PlayResult(number=number, playbook=playbook, state=state, reason="by a signal", nodes=nodes))

    def _report(self, number: int, playbook: Playbook, ended: PlayEnded) -> int:
        result = PlayResult(number=number, playbook=playbook, state=ended.state, reason=ended.reason, nodes=ended.nodes)
        is_good = all(one.state in (NodeState.OK, NodeState.LEFT_OUT) for one in ended.nodes)
        if self.console.display.form is not Format.HUMAN or not is_good or sys.stdout.isatty():
            self.console.show(result)
        if not is_good:
            told = f"`clbalance play --continue {number}` does the nodes that failed or were not started"
            if playbook.rollback and any(one.state is NodeState.OK for one in ended.nodes):
                told += f", `clbalance play --rollback {number}` takes back what was done"
            self.console.say(messages.note(told))
        return exit_code(ended)


def exit_code(ended: PlayEnded) -> int:
    """0 if each node is done or was left out, 3 if the minimum could not be held, else 4."""
    if ended.minimum:
        return ExitCode.NOTHING_FITS
    is_good = all(one.state in (NodeState.OK, NodeState.LEFT_OUT) for one in ended.nodes)
    return ExitCode.DONE if is_good else ExitCode.SOME_NODES_FAILED


def nodes_meant(nodes: NodeOptions, playbook: Playbook) -> NodeOptions:
    """The nodes as typed, or those of the playbook's `hosts`. `-x` and `-X` count for both."""
    if nodes.names_nodes:
        return nodes
    if not playbook.hosts:
        raise UsageError("no nodes named", hint="`-w NODES`, `-g GROUP` or `-a`: the playbook has no `hosts`")
    return replace(nodes, nodes=[playbook.hosts])


def asks_first(playbook: Playbook) -> bool:
    """Whether there is a question before the first turn: the playbook takes nodes from their users."""
    return any(isinstance(step.action, DrainNode | Reboot) for step in playbook.steps)


def ask_on_terminal(question: str) -> bool | None:
    """Whether somebody says yes; None: there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    sys.stderr.write(f"{question} [y/N] ".replace("\x1b", "?"))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _request_of(
    number: int, playbook: Playbook, planned: PlannedPlay, most_at_once: int, before: Continued | None
) -> PlayRequest:
    return PlayRequest(
        number=number,
        playbook=playbook,
        nodes=planned.nodes,
        pool=planned.pool,
        min_available=planned.min_available,
        most_at_once=most_at_once,
        before=before,
        rolls_back=planned.rolls_back,
        registered=planned.registered,
    )


def _run_of(text: PlayText, planned: PlannedPlay) -> PlayRun:
    return PlayRun(
        number=0,
        playbook=text.playbook.name,
        file=text.file,
        text=text.text,
        text_hash=text.playbook.text_hash,
        typed=text.typed,
        by=me(),
        submit_host=socket.gethostname(),
        started_at=datetime.now(UTC),
        nodes=planned.nodes,
        pool=planned.pool,
        rolls_back=planned.rolls_back,
    )
