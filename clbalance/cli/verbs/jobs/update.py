"""`clbalance update`: change pending jobs (`scontrol update`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import JobsArgument, OutputOptions, ReachOptions, takes

_HELP = """Change pending jobs: name, priority, time limit.

By number, range, name or `last`. A job that has been started keeps what it was started with.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("update", help=_HELP)(update)


@takes
def update(
    ssh: ReachOptions,
    output: OutputOptions,
    words: JobsArgument = None,
    name: Annotated[str | None, Option("--name", metavar="NAME", help="Its new name.")] = None,
    priority: Annotated[
        float | None, Option("--priority", metavar="N", help="Priority in the queue; higher starts first.")
    ] = None,
    time_limit: Annotated[
        str | None, Option("--time-limit", metavar="TIME|none", help="New time limit; none: no limit.")
    ] = None,
) -> int:
    """Exits as `hold` does."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.pending import update_jobs

    return update_jobs(words or [], ssh, Console.of(output), name=name, priority=priority, time_limit=time_limit)
