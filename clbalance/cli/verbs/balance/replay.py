"""`clbalance replay`: compare policies on a trace of jobs; nothing is run on nodes."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes
from clbalance.errors import UsageError

_HELP = """Simulate a trace of jobs, and compare placement policies.

FILES: jobs as CSV or in the Standard Workload Format (.swf, .swf.gz), nodes as CSV; a heading says which is which.

Without jobs: those that this host remembers. Without nodes: those of the .swf's header, else of -w or -g, empty.
"""

FilesArgument = Annotated[
    list[Path] | None, Argument(metavar="[FILE]...", help="Jobs, nodes, or both.", show_default=False)
]
PoliciesOption = Annotated[
    list[str] | None,
    Option("--policy", metavar="POLICY", help="May be repeated: least, spread, pack, p2c, risk, fgd, ..."),
]
QueueOption = Annotated[
    str | None,
    Option(
        "--queue",
        metavar="LIST",
        help="What does not fit waits: fcfs, sjf, priority, easy or easy-sjbf. Without: it is refused.",
    ),
]
ChooseOption = Annotated[
    bool, Option("--choose", help="Say what `auto` would choose by these jobs, and why.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("replay", help=_HELP)(replay)


@takes
def replay(  # noqa: PLR0913, PLR0917 - options, which are typed by name
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    files: FilesArgument = None,
    policies: PoliciesOption = None,
    queue: QueueOption = None,
    choose: ChooseOption = False,
    seed: Annotated[int, Option("--seed", metavar="N", help="Seed of random choices.", show_default=True)] = 1,
    repeat: Annotated[int, Option("--repeat", metavar="N", help="Replay with N seeds, from --seed on.")] = 1,
) -> int:
    """Exits 0."""
    from clbalance.cli.console import Console

    if choose:
        from clbalance.cli.balance.choose import choose_by_hand

        if policies or queue or repeat != 1:
            raise UsageError(
                "`--choose` replays every policy once, so not with `--policy`, `--queue` or `--repeat`",
                hint="leave those out, or leave out `--choose`",
            )
        return choose_by_hand(files or [], nodes, ssh, Console.of(output), seed=seed)
    from clbalance.cli.balance.replay import replay_trace

    seeds = range(seed, seed + repeat)
    return replay_trace(files or [], nodes, ssh, Console.of(output), names=policies or [], queue=queue, seeds=seeds)
