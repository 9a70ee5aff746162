"""`clbalance completion`: the script that makes a shell complete what is typed after `clbalance`."""

import sys
from enum import StrEnum
from typing import Annotated

import typer
from typer import Argument

from clbalance.cli.options import takes

_HELP = """Print a script that makes the Tab key complete verbs, options, nodes, groups, jobs and more.

\b
bash: eval "$(clbalance completion bash)"       in ~/.bashrc
zsh:  eval "$(clbalance completion zsh)"        in ~/.zshrc, after compinit
fish: clbalance completion fish | source        in ~/.config/fish/config.fish

No node is asked: names are those that earlier commands have met on this host.
"""


class Shell(StrEnum):
    """The shells with a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("completion", help=_HELP)(completion)


@takes
def completion(shell: Annotated[Shell, Argument(metavar="bash|zsh|fish", help="Your shell.")]) -> int:
    """Exits 0."""
    from clbalance.cli.complete.scripts import completion_script

    sys.stdout.write(completion_script(shell.value))
    return 0
