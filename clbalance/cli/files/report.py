"""The end of `copy` and `fetch`: what differs on stdout, one line per failed node and a summary on stderr."""

from clbalance.cli.console import Console
from clbalance.cli.files.progress import FileProgress
from clbalance.errors import ExitCode
from clbalance.model.files import FilesResult
from clbalance.render import messages
from clbalance.render.format import Format
from clbalance.render.reports.files.transfer import FilesReport


def report_files(
    console: Console,
    verb: str,
    results: tuple[FilesResult, ...],
    progress: FileProgress,
    elapsed_s: float,
    *,
    diff: bool,
    only_compared: bool,
) -> int:
    """Report, and give the exit code: 4 if a node failed, or a file on it."""
    plans = {one.node: progress.plans[one.node] for one in results if one.node in progress.plans}
    report = FilesReport(
        verb=verb,
        results=results,
        elapsed_s=elapsed_s,
        changes={node: plan.changes for node, plan in plans.items()} if diff else None,
        only_compared=only_compared,
        planned={node: (len(plan.files), plan.size, len(plan.delete)) for node, plan in plans.items()}
        if only_compared
        else None,
    )
    console.show(report)
    for line in report.failures():
        console.complain(messages.warning(line))
    if console.display.form is Format.HUMAN:
        for line in report.warnings():
            console.say(messages.note(line))
        console.say(messages.note(report.summary()))
    return ExitCode.SOME_NODES_FAILED if report.failed else ExitCode.DONE
