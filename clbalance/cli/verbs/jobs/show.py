"""`clbalance show`: everything that is known of a job (`scontrol show job`, `sacct -j`)."""

import typer

from clbalance.cli.options import JobsArgument, OutputOptions, ReachOptions, takes

_HELP = """Show everything that is known of jobs: request, nodes, attempts, times, ends, limits, output, usage.

`clbalance explain` says why a job is where it is, and `clbalance jobs JOB --tasks` shows its tasks.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("show", help=_HELP)(show)


@takes
def show(ssh: ReachOptions, output: OutputOptions, words: JobsArgument = None) -> int:
    """Exits 0; 4 if a node did not answer."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.show_job import show_named

    return show_named(words or ["last"], ssh, Console.of(output))
