"""`clbalance hold`: keep pending jobs from starting (`scontrol hold`)."""

import typer

from clbalance.cli.options import JobsArgument, OutputOptions, ReachOptions, takes

_HELP = """Keep pending jobs from being started, until `clbalance release`.

By number, range, name or `last`. Running jobs are not touched. A held job has the reason "held by USER" in `jobs`.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("hold", help=_HELP)(hold)


@takes
def hold(ssh: ReachOptions, output: OutputOptions, words: JobsArgument = None) -> int:
    """Exits 0; 2 if a job is not pending, 4 if a node that may have it did not answer."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.pending import hold_jobs

    return hold_jobs(words or [], ssh, Console.of(output))
