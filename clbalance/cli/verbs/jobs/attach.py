"""`clbalance attach`: follow a job as if it had been run from here."""

import typer

from clbalance.cli.options import JobArgument, JobOutputOptions, ReachOptions, takes

_HELP = """Follow the output of a job, from its beginning, and exit with its code.

Ctrl-C leaves it running; `clbalance cancel` ends it.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("attach", help=_HELP)(attach)


@takes
def attach(ssh: ReachOptions, output: JobOutputOptions, word: JobArgument = "last") -> int:
    """Exits with the job's own code, as `run` does."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.follow import attach_to

    return attach_to(word, ssh, Console.of(output))
