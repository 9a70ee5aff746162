"""`clbalance release`: let held jobs start (`scontrol release`)."""

import typer

from clbalance.cli.options import JobsArgument, OutputOptions, ReachOptions, takes

_HELP = """Let held jobs start again.

By number, range, name or `last`. The controller of a job starts it when nodes fit; without one, `rebalance --apply`.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("release", help=_HELP)(release)


@takes
def release(ssh: ReachOptions, output: OutputOptions, words: JobsArgument = None) -> int:
    """Exits as `hold` does."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.pending import release_jobs

    return release_jobs(words or [], ssh, Console.of(output))
