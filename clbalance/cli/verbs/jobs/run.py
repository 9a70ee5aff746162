"""`clbalance run`: place and run a script or a command, and exit with its code (LSF's `lsrun`)."""

from contextlib import nullcontext
from typing import Annotated, Any

import typer
from typer import Argument
from typer.core import TyperCommand

from clbalance.cli.options import JobOutputOptions, NodeOptions, RequestOptions, SweepOptions, takes
from clbalance.cli.run.options import JobOptions, TaskOptions

_HELP = """Run a script or a command on the least loaded nodes, show what it prints, exit with its code.

\b
clbalance run -g gpu-nodes job.sh ARG...
clbalance run -g gpu-nodes --pick 2 -- ./train --epochs 3
clbalance run -w node7 -c 'echo $HOSTNAME; nproc'
"""


class RunCommand(TyperCommand):
    """Tells a script from a command: the words after `--` are a command, executed as they are."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """As typer does; and put into `ctx.meta` whether the first positional argument came after `--`."""
        options_only = type(self.make_parser(ctx))(ctx)
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "option":
                parameter.add_to_parser(options_only, ctx)
        _, rest, _ = options_only.parse_args(list(args))
        ctx.meta["exact"] = bool(rest) and args[: len(args) - len(rest)][-1:] == ["--"]
        return super().parse_args(ctx, args)

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """As typer does; and take options that were not typed from the script's `#CLB` lines."""
        ctx: Any = super().make_context(info_name, args, parent, **extra)
        has_script = ctx.params.get("words") and not ctx.meta["exact"]
        if not ctx.resilient_parsing and (has_script or ctx.params.get("sbatch")):
            from clbalance.cli.run.directives.clb import take_directives

            read: Any = super().make_context
            parsed = take_directives(ctx, lambda words: read(info_name, words, help_option_names=[]))
            ctx.meta["content"], ctx.meta["remarks"] = parsed
        return ctx


def register(app: typer.Typer) -> None:
    """Add the verb to `app`; options after the script are the script's own."""
    app.command("run", cls=RunCommand, help=_HELP, context_settings={"allow_interspersed_args": False})(run)


@takes
def run(
    ctx: typer.Context,
    nodes: NodeOptions,
    job: JobOptions,
    tasks: TaskOptions,
    resources: RequestOptions,
    ssh: SweepOptions,
    output: JobOutputOptions,
    words: Annotated[
        list[str] | None, Argument(metavar="SCRIPT|- [ARG]...|-- COMMAND...", help="What to run.", show_default=False)
    ] = None,
) -> int:
    """Exits with the job's own code; 124 if its time limit ended it, 125 if it could not be run to its end."""
    from clbalance.cli.cluster import cluster_context
    from clbalance.cli.connecting import connecting
    from clbalance.cli.console import Console
    from clbalance.cli.requests import check_force
    from clbalance.cli.run.submission import check_shown_once, query_of, submission
    from clbalance.cli.run.work import CommandLine
    from clbalance.render import messages
    from clbalance.wiring.engines import engine_meant

    console = Console.of(output)
    check_shown_once(job, as_json=output.json)
    check_force(resources, nodes)
    for remark in ctx.meta.get("remarks", ()):
        console.say(messages.note(remark))
    typed = CommandLine(words=tuple(words or ()), exact=ctx.meta["exact"], content=ctx.meta.get("content"))
    if tasks.are_meant:
        from clbalance.cli.run.tasks import run_as_typed

        return run_as_typed(nodes, tasks, job, resources, ssh, console, typed)
    submitted = submission(job, resources, typed, say=console.say)
    cluster = cluster_context(nodes, ssh, console, work_here=True, policy=resources.policy)
    if engine := engine_meant(job.engine, cluster.settings, cluster.group):
        from clbalance.cli.run.elsewhere import run_elsewhere  # few jobs have a batch system

        return run_elsewhere(cluster, submitted, engine, console)
    query = query_of(cluster, submitted, pick=submitted.pick)
    with connecting(cluster, query.request) if submitted.is_placed_at_once else nullcontext():
        from clbalance.cli.run.run_job import run_job  # nodes are being connected to: docs/design/startup.md

        return run_job(cluster, submitted, console)
