"""`clbalance help`: the same as `--help` after a verb."""

from typing import Annotated

import typer
from typer import Argument

from clbalance.cli.options import takes


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("help", help="Show the help of a verb, as its `--help` does; without a verb, all verbs.")(show_help)


@takes
def show_help(
    words: Annotated[
        list[str] | None, Argument(metavar="[VERB]...", help="A verb, such as run or lab up.", show_default=False)
    ] = None,
) -> int:
    """Exits 0; 2 if there is no such verb."""
    from clbalance.cli.admin.verb_help import help_of

    return help_of(words or [])
