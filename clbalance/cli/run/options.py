"""The options of `run` for one job, and for many tasks in one job."""

from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The job and its output."""

    pick: Annotated[str, Option("--pick", metavar="N|all", help="How many nodes; all: every one that fits.")] = "1"
    first_node: Annotated[
        bool, Option("--first-node", help="On the first node only; the others are held for it (mpirun).")
    ] = False
    text: Annotated[str | None, Option("-c", metavar="TEXT", help="Run this text by /bin/sh.")] = None
    name: Annotated[str | None, Option("--name", metavar="NAME", help="Name of the job. [the script's]")] = None
    env: Annotated[
        list[str] | None, Option("--env", metavar="K=V", help="Set in the job's environment; K alone: as it is here.")
    ] = None
    chdir: Annotated[
        str | None, Option("--chdir", metavar="DIR", help="Work there. [here, if it exists on the node, else home]")
    ] = None
    login: Annotated[bool, Option("--login", help="Run by a login shell, so that `module` works.")] = False
    stdin: Annotated[
        str | None, Option("--stdin", metavar="FILE", help="Its standard input; -: ours. [ours, if redirected for it]")
    ] = None
    time_limit: Annotated[str | None, Option("--time-limit", metavar="TIME", help="End it after this.")] = None
    pty: Annotated[bool, Option("--pty", help="Give it this terminal, as `ssh -t` does.")] = False
    detach: Annotated[bool, Option("--detach", help="Print the job's id, and leave it to itself.")] = False
    retry: Annotated[
        int, Option("--retry", metavar="N", help="Start it so often again if it fails.", show_default=False)
    ] = 0
    requeue: Annotated[bool, Option("--requeue", help="Start it again if its node fails.")] = False
    requeue_exit: Annotated[
        str | None, Option("--requeue-exit", metavar="CODES", help="Start it again if it exits so, such as 85.")
    ] = None
    checkpoint: Annotated[
        str | None,
        Option(
            "--checkpoint",
            metavar="SIGNAL[:GRACE]",
            help="To move it, send this; it exits 85, or writes its file. [:60s]",
        ),
    ] = None
    checkpoint_file: Annotated[
        str | None, Option("--checkpoint-file", metavar="PATH", help="Written anew, it has checkpointed.")
    ] = None
    after: Annotated[
        list[str] | None, Option("--after", metavar="JOB", help="Not before this job has been completed.")
    ] = None
    begin: Annotated[
        str | None, Option("--begin", metavar="TIME", help="Not before: 2h (from now), 18:00, 2026-12-01T08:00.")
    ] = None
    notify: Annotated[
        str | None, Option("--notify", metavar="CMD", help="Run this by /bin/sh here when it is over.")
    ] = None
    queue_for: Annotated[str | None, Option("--queue-for", metavar="TIME", help="Wait so long for nodes that fit.")] = (
        None
    )
    queue: Annotated[
        bool, Option("--queue", help="With --detach: if nothing fits, let it wait for `clbalance rebalance`.")
    ] = False
    priority: Annotated[
        float, Option("--priority", metavar="N", help="Of those that wait, more is sooner.", show_default=False)
    ] = 0.0
    output: Annotated[
        str | None, Option("--output", metavar="FILE", help="Write its output there: %j job, %n node, %a attempt.")
    ] = None
    error: Annotated[str | None, Option("--error", metavar="FILE", help="Its errors. [the --output file]")] = None
    gather: Annotated[bool, Option("-b", "--gather", help="Show output at the end, equal outputs folded.")] = False
    label: Annotated[
        bool | None, Option("--label/--no-label", help="Begin lines with their node. [on several nodes]")
    ] = None
    explain: Annotated[bool, Option("--explain", help="Say why these nodes, and why not the others.")] = False
    strict: Annotated[bool, Option("-S", "--strict", help="Exit 125 if `--pick all` leaves a node out.")] = False
    sbatch: Annotated[bool, Option("--sbatch", help="Read the script's #SBATCH lines too.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """The tasks, and how many of them may fail."""

    tasks: Annotated[
        str | None, Option("--tasks", metavar="FILE", help="Many tasks: a shell command on each line; -: from stdin.")
    ] = None
    array: Annotated[
        str | None, Option("--array", metavar="0-99[%N]", help="Run it with each CLBALANCE_TASK_ID, N at a time.")
    ] = None
    max_fail: Annotated[
        str | None, Option("--max-fail", metavar="N|P%", help="Give out no more when more tasks have failed.")
    ] = None
    resume: Annotated[
        str | None, Option("--resume", metavar="JOB", help="Run its tasks again that failed or were not started.")
    ] = None

    @property
    def are_meant(self) -> bool:
        """Whether the call is for a job of tasks."""
        return not (self.tasks is None and self.array is None and self.resume is None)
