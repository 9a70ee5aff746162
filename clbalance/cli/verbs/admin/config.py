"""`clbalance config`: show and check the settings, and print result groups and timers."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from clbalance.cli.options import OutputOptions, takes

_GROUPS_HELP = """Print the nodes of your last jobs by result, as groups for clush: @clb:failed, @clb:ok-17.

ok, failed, timeout, cancelled, unreachable, notstarted: of the last job, and -N of job N.
"""
_TIMER_HELP = """Print a systemd service and timer, and a crontab line, that run rebalance. Installs nothing.

Without --apply it only shows what would be moved. Variables and the folder that apply here are written into them.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    config = typer.Typer(no_args_is_help=True, rich_markup_mode=None, callback=lambda: None)
    config.command("show", help="Show every setting, its value, and where it comes from.")(show)
    config.command(
        "path",
        help="Show where settings, groups and state are looked for, and what is there.",
        short_help="Show where settings, groups and state are looked for.",
    )(path)
    config.command(
        "check",
        help="Check the settings, or one file of them, and say what is wrong and where.",
        short_help="Check the settings, and say what is wrong and where.",
    )(check)
    config.command(
        "groups", help=_GROUPS_HELP, short_help="Print your last jobs' nodes by result, as groups for clush."
    )(groups)
    config.command("timer", help=_TIMER_HELP, short_help="Print systemd units and a crontab line that run rebalance.")(
        timer
    )
    config.command(
        "connections",
        help="List the ssh connections that are kept for the next call. [ssh] control_persist_s says for how long.",
        short_help="List or end the ssh connections that are kept.",
    )(connections)
    app.add_typer(config, name="config", help="Show and check settings; print groups for clush and a timer.")


@takes
def show(output: OutputOptions) -> int:
    """Exits 0."""
    from clbalance.cli.admin.config import show_settings
    from clbalance.cli.console import Console

    return show_settings(Console.of(output))


@takes
def path(output: OutputOptions) -> int:
    """Exits 0."""
    from clbalance.cli.admin.config import show_places
    from clbalance.cli.console import Console

    return show_places(Console.of(output))


@takes
def check(
    output: OutputOptions,
    file: Annotated[Path | None, Argument(metavar="[FILE]", show_default=False)] = None,
    limits: Annotated[
        Path | None,
        Option("--limits", metavar="FILE", help="Check limits for /etc/clbalance/limits.conf.", show_default=False),
    ] = None,
) -> int:
    """Exits 0 if nothing is wrong, else 2."""
    from clbalance.cli.console import Console

    console = Console.of(output)
    if limits is not None:
        from clbalance.cli.admin.limits import check_limits

        return check_limits(console, limits, and_settings=file is not None)
    from clbalance.cli.admin.config import check_settings

    return check_settings(console, file)


@takes
def groups(
    output: OutputOptions,
    install: Annotated[bool, Option("--install", help="Make ClusterShell find them.", show_default=False)] = False,
) -> int:
    """Exits 0; an error says what to type."""
    from clbalance.cli.admin.groups import install_result_groups, show_result_groups
    from clbalance.cli.console import Console

    console = Console.of(output)
    return install_result_groups(console) if install else show_result_groups(console)


@takes
def connections(
    output: OutputOptions,
    end: Annotated[
        bool, Option("--end", help="End them; one that is in use ends with its last session.", show_default=False)
    ] = False,
) -> int:
    """Exits 0, or 1 if one could not be ended."""
    from clbalance.cli.admin.connections import end_connections, show_connections
    from clbalance.cli.console import Console

    console = Console.of(output)
    return end_connections(console) if end else show_connections(console)


@takes
def timer(
    output: OutputOptions,
    named: Annotated[
        list[str] | None,
        Option("-g", "--group", metavar="GROUP", help="Balance this group; may be repeated. [all nodes]"),
    ] = None,
    every: Annotated[str, Option("--every", metavar="TIME", help="Interval; must divide an hour or a day.")] = "5m",
    apply: Annotated[bool, Option("--apply", help="Carry out the plan.", show_default=False)] = False,
    only: Annotated[
        str | None, Option("--only", metavar="PART", help="Print only this: service, timer or cron.")
    ] = None,
) -> int:
    """Exits 0."""
    from clbalance.cli.admin.timer import show_timer
    from clbalance.cli.console import Console

    return show_timer(Console.of(output), groups=named or [], every=every, apply=apply, only=only)
