"""`--dry-run`: what each step would do on each node."""

from clbalance.cli.console import Console
from clbalance.cli.play.plan import PlannedPlay
from clbalance.engine.play.check import check
from clbalance.engine.play.step_runner import StepFacts, StepRunner
from clbalance.engine.play.workers import ThreadWorkers
from clbalance.errors import ExitCode, Interrupted
from clbalance.model import NodeName
from clbalance.model.play_run import StepState
from clbalance.model.playbook import Playbook
from clbalance.render.format import Format
from clbalance.render.reports.play.dry_run import CheckedSteps, DryRun, turn_text


def show_checks(console: Console, runner: StepRunner, planned: PlannedPlay, playbook: Playbook) -> int:
    """Show it, node by node in the order of turns. The exit code: 4 if a step cannot be checked somewhere.

    People see each node as soon as it has answered. Other forms come as a whole, after a signal with what is known.
    """
    facts = StepFacts(
        playbook=playbook, run=0, nodes=planned.nodes, pool=planned.pool, min_available=planned.min_available
    )
    is_shown_at_once = console.display.form is Format.HUMAN
    checked: dict[NodeName, CheckedSteps] = {}
    if is_shown_at_once:
        console.show(planned.report)
    stop: Interrupted | None = None
    try:
        for node, steps in check(ThreadWorkers(), runner, facts, most_at_once=planned.report.at_once):
            checked[node] = steps
            if is_shown_at_once:
                console.print(turn_text(node, steps))
    except Interrupted as signal:
        stop = signal
    if not is_shown_at_once:
        console.show(DryRun(plan=planned.report, checked=checked))
    if stop is not None:
        raise stop
    failed = any(ended.state is StepState.FAILED for steps in checked.values() for _, ended in steps)
    return ExitCode.SOME_NODES_FAILED if failed else ExitCode.DONE
