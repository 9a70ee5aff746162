"""What typer raises for what was mistyped, and what to type instead."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import typer

# Everything of that kind; its own name is private since typer vendored click.
MistypedError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

_EXTRA = re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)", re.DOTALL)


def hint_for(arguments: Sequence[str], error: Exception, told: str) -> str:
    """What to type instead, where it can be guessed; else where to look. `told`: what typer says of it."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return ""
    options = {option for one in context.command.params for option in one.opts}
    help_hint = f"`{context.command_path} --help` shows what can be typed"
    if "-w" in options and (extra := _EXTRA.search(told)) and not extra[1].startswith("-"):
        nodes = ",".join(extra[1].split())
        return f"nodes are named with `-w`: `{context.command_path} -w {nodes}`; {help_hint}"
    if "--pick" in options and getattr(error, "option_name", None) == "-n":
        count = next((after for one, after in pairwise(arguments) if one == "-n" and after.isdecimal()), "N")
        return f"how many nodes is `--pick {count}`; {help_hint}"
    return help_hint
