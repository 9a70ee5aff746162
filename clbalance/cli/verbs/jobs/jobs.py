"""`clbalance jobs`: the states of jobs (`squeue`, `bjobs`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.jobs.options import JobTableOptions
from clbalance.cli.options import JobsArgument, NodeOptions, OutputOptions, SshOptions, takes
from clbalance.lazy_dataclass import dataclass

_HELP = """Show your jobs: where they run, how they ended, what they wait for.

Those of this host; with nodes named, also what you have running there from elsewhere. What runs there and was not
submitted here is shown by its owner and key; `show`, `logs` and `cancel` take that.
"""

TasksOption = Annotated[bool, Option("--tasks", help="Show the tasks of one job: how each ended, where and when.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNodeOptions(NodeOptions):
    """`NodeOptions`, but `-a` is called `--all-nodes`: `--all` meant all jobs in earlier releases."""

    everything: Annotated[bool, Option("-a", "--all-nodes", help="All nodes of the default group source.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedOptions:
    """Whether jobs that are over are shown, in the present and in the former spelling."""

    ended: Annotated[bool, Option("--ended", help="Also those that are over.")] = False
    old_ended: Annotated[bool, Option("--all", hidden=True)] = False


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("jobs", help=_HELP)(jobs)


@takes
def jobs(
    nodes: JobNodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    table: JobTableOptions,
    over: EndedOptions,
    words: JobsArgument = None,
    tasks: TasksOption = False,
    all_users: Annotated[bool, Option("--all-users", help="Jobs of all users, on the nodes named.")] = False,
) -> int:
    """Exits 0; 4 if a node did not answer."""
    from clbalance.cli.console import Console

    console = Console.of(output)
    if over.old_ended:
        from clbalance.render.messages import OLD_SPELLING, note

        console.say(note(OLD_SPELLING.format(old="--all", new="--ended")))
    if tasks:
        from clbalance.cli.jobs.show_tasks import show_tasks

        return show_tasks(words or ["last"], ssh, console)
    from clbalance.cli.jobs.jobs import show_jobs

    ended = over.ended or over.old_ended
    return show_jobs(words or [], nodes, ssh, console, table, ended=ended, all_users=all_users)
