"""`clbalance config`: what is set up here, for ClusterShell and by whom."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import OutputOptions, takes

_GROUPS_HELP = """Print what became of your last jobs as groups for clush: @clb:failed, @clb:ok-17.

ok, failed, timeout, cancelled, unreachable, notstarted: of the last job, and -N of job N.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    config = typer.Typer(no_args_is_help=True, rich_markup_mode=None, callback=lambda: None)
    config.command("groups", help=_GROUPS_HELP)(groups)
    app.add_typer(config, name="config", help="Set up what works together with clbalance.")


@takes
def groups(
    output: OutputOptions,
    install: Annotated[bool, Option("--install", help="Make ClusterShell find them.", show_default=False)] = False,
) -> int:
    """Exits 0, or says what to type."""
    from clbalance.cli.config_groups import install_result_groups, show_result_groups
    from clbalance.cli.screen import Screen

    screen = Screen.of(output)
    return install_result_groups(screen) if install else show_result_groups(screen)
