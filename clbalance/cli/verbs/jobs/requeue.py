"""`clbalance requeue`: start a job again that is over, or whose node is gone."""

from typing import Annotated

import typer
from typer import Argument, Option

from clbalance.cli.options import JobOutputOptions, SshOptions, takes

_HELP = """Start a job again, as it was submitted, if possible not where it failed.

A job that may still run is not requeued. `--node-is-dead` asserts that its silent node will not
come back.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("requeue", help=_HELP)(requeue)


@takes
def requeue(
    ssh: SshOptions,
    output: JobOutputOptions,
    word: Annotated[str, Argument(metavar="JOB", help="A number, a name, or `last`.")],
    node_is_dead: Annotated[
        bool, Option("--node-is-dead", help="Even if its node does not answer; it may then run twice.")
    ] = False,
    detach: Annotated[bool, Option("--detach", help="Print the job's number, and return at once.")] = False,
) -> int:
    """Exits as `run` does."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.requeue import requeue_job

    return requeue_job(word, ssh, Console.of(output), node_is_dead=node_is_dead, detach=detach)
