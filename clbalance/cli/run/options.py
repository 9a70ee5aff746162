"""The options of `run` for one job, and for many tasks in one job."""

from typing import Annotated

from typer import Option

from clbalance.cli.option_values import check_account
from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The job and its output."""

    pick: Annotated[str, Option("--pick", metavar="N|all", help="How many nodes; all: every one that fits.")] = "1"
    first_node: Annotated[
        bool, Option("--first-node", help="Start it on the first node; reserve the others (mpirun).")
    ] = False
    text: Annotated[str | None, Option("-c", metavar="TEXT", help="Run this shell text (/bin/sh).")] = None
    name: Annotated[str | None, Option("--name", metavar="NAME", help="Name of the job. [the script's]")] = None
    env: Annotated[
        list[str] | None, Option("--env", metavar="K=V", help="Set a variable of the job; K alone: its value here.")
    ] = None
    chdir: Annotated[
        str | None, Option("--chdir", metavar="DIR", help="Working directory. [this one if the node has it, else home]")
    ] = None
    login: Annotated[bool, Option("--login", help="Run it in a login shell, so that `module` works.")] = False
    stdin: Annotated[
        str | None, Option("--stdin", metavar="FILE", help="Its standard input; -: that of run. [that, if redirected]")
    ] = None
    time_limit: Annotated[
        str | None, Option("--time-limit", metavar="TIME", help="End it after this much run time.")
    ] = None
    pty: Annotated[bool, Option("--pty", help="Give it this terminal, as `ssh -t` does.")] = False
    detach: Annotated[bool, Option("--detach", help="Print the job's number, and return at once.")] = False
    retry: Annotated[
        int, Option("--retry", metavar="N", help="Restart it up to N times if it fails.", show_default=False)
    ] = 0
    requeue: Annotated[bool, Option("--requeue", help="Restart it if its node fails.")] = False
    requeue_exit: Annotated[
        str | None,
        Option("--requeue-exit", metavar="CODES", help="Restart it if it exits with one of these, such as 85."),
    ] = None
    checkpoint: Annotated[
        str | None,
        Option(
            "--checkpoint",
            metavar="SIGNAL[:GRACE]",
            help="Signal to save and exit 85, before it is moved. [:60s]",
        ),
    ] = None
    checkpoint_file: Annotated[
        str | None,
        Option("--checkpoint-file", metavar="PATH", help="The job has saved once it has rewritten this file."),
    ] = None
    after: Annotated[
        list[str] | None, Option("--after", metavar="JOB", help="Start it once this job has completed (afterok).")
    ] = None
    begin: Annotated[
        str | None, Option("--begin", metavar="TIME", help="Start it at or after 18:00, 2026-12-01T08:00, 2h from now.")
    ] = None
    notify: Annotated[
        str | None, Option("--notify", metavar="CMD", help="Run this command here when the job has ended.")
    ] = None
    queue_for: Annotated[
        str | None, Option("--queue-for", metavar="TIME", help="Wait up to this long for nodes that fit.")
    ] = None
    queue: Annotated[
        bool, Option("--queue", help="With --detach: queue it if no node fits; `rebalance` starts it.")
    ] = False
    priority: Annotated[
        float, Option("--priority", metavar="N", help="Priority in the queue; higher starts first.", show_default=False)
    ] = 0.0
    account: Annotated[
        str | None,
        Option("--account", metavar="NAME", callback=check_account, help="Whose share of the queue it has. [login]"),
    ] = None
    output: Annotated[
        str | None, Option("--output", metavar="FILE", help="Write its output to this: %j job, %n node, %a attempt.")
    ] = None
    error: Annotated[
        str | None, Option("--error", metavar="FILE", help="Write its standard error to this. [the --output file]")
    ] = None
    send: Annotated[
        list[str] | None,
        Option("--send", metavar="FILE", help="Send this file or folder to its work folder there; %t: task."),
    ] = None
    returned: Annotated[
        list[str] | None,
        Option("--return", metavar="GLOB", help="Bring back what matches in its work folder when it has ended; %t."),
    ] = None
    return_to: Annotated[
        str | None,
        Option("--return-to", metavar="DIR", help="Into this folder: %j job, %a attempt, %t task. [this one]"),
    ] = None
    gather: Annotated[bool, Option("-b", "--gather", help="Show output at the end, equal outputs once (clush -b).")] = (
        False
    )
    label: Annotated[
        bool | None, Option("--label/--no-label", help="Prefix lines with the node. [if several nodes]")
    ] = None
    explain: Annotated[bool, Option("--explain", help="Show why these nodes, and why not the others.")] = False
    strict: Annotated[bool, Option("-S", "--strict", help="Exit 125 if `--pick all` leaves a node out.")] = False
    engine: Annotated[
        str | None, Option("--engine", metavar="ssh|slurm", help="Who chooses the nodes and runs it. [ssh]")
    ] = None
    sbatch: Annotated[bool, Option("--sbatch", help="Read the script's #SBATCH lines too.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """The tasks, and how many of them may fail."""

    tasks: Annotated[
        str | None, Option("--tasks", metavar="FILE", help="Run many tasks, a shell command per line; -: from stdin.")
    ] = None
    array: Annotated[
        str | None,
        Option("--array", metavar="0-99[%N]", help="Run it once per CLBALANCE_TASK_ID, at most N at a time."),
    ] = None
    max_fail: Annotated[
        str | None, Option("--max-fail", metavar="N|P%", help="Start no more tasks once more than this have failed.")
    ] = None
    resume: Annotated[
        str | None, Option("--resume", metavar="JOB", help="Rerun the tasks of JOB that failed or did not start.")
    ] = None

    @property
    def are_meant(self) -> bool:
        """Whether the call is for a job of tasks."""
        return not (self.tasks is None and self.array is None and self.resume is None)
