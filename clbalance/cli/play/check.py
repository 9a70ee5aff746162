"""`--dry-run`: what each step would do on each node."""

from clbalance.cli.console import Console
from clbalance.cli.play.plan import PlannedPlay
from clbalance.engine.play.check import check
from clbalance.engine.play.step_runner import StepFacts, StepRunner
from clbalance.engine.play.workers import ThreadWorkers
from clbalance.errors import ExitCode
from clbalance.model import NodeName
from clbalance.model.play_run import StepEnded, StepState
from clbalance.model.playbook import Playbook, Step
from clbalance.render.format import Format
from clbalance.render.text import escape_line, escape_text


def show_checks(console: Console, runner: StepRunner, planned: PlannedPlay, playbook: Playbook) -> int:
    """Show it, node by node in the order of turns. The exit code: 4 if a step cannot be checked somewhere."""
    facts = StepFacts(
        playbook=playbook, run=0, nodes=planned.nodes, pool=planned.pool, min_available=planned.min_available
    )
    failed = False
    for node, found in check(ThreadWorkers(), runner, facts, most_at_once=planned.report.at_once):
        failed = failed or any(ended.state is StepState.FAILED for _, ended in found)
        if console.display.form is Format.HUMAN:
            console.print(_lines(node, found))
    return ExitCode.SOME_NODES_FAILED if failed else ExitCode.DONE


def _lines(node: NodeName, found: tuple[tuple[Step, StepEnded], ...]) -> str:
    lines = [escape_line(node)]
    for step, ended in found:
        cannot = "cannot be checked: " if ended.state is StepState.FAILED else ""
        lines.append(f"  {escape_line(step.name)}: {cannot}{escape_line(ended.reason or _nothing(step))}")
        if ended.result is not None and ended.result.out:
            lines += [f"    {line}" for line in escape_text(ended.result.out).splitlines()]
    return "\n".join(lines) + "\n"


def _nothing(step: Step) -> str:
    return "carried out" if step.runs_in_check else "nothing would change"
