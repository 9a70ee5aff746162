"""`clbalance wait`: wait until jobs are over; exit as `run` would have."""

import typer

from clbalance.cli.options import JobsArgument, OutputOptions, ReachOptions, takes


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("wait", help="Wait until jobs have ended; exit with their code, the highest of several.")(wait)


@takes
def wait(ssh: ReachOptions, output: OutputOptions, words: JobsArgument = None) -> int:
    """Exits as `run` would have; 125 if a node does not answer any more."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.follow import wait_for

    return wait_for(words or ["last"], ssh, Console.of(output))
