"""The table of verbs and options from typer's declarations. It imports all verbs, and is used once for each version.

What a value is, its metavar says: `-w NODES` takes nodes, and so does everything else whose help says NODES.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import typer

from clbalance.cli.app import whole_app
from clbalance.cli.complete.commands import Argument, Command, Option, Value
from clbalance.cli.verbs import VERBS
from clbalance.model.job_record import JobState
from clbalance.policy.indices.table import ANSWERS, GPU_SERIES, NODE_SERIES
from clbalance.render.jobs.columns import COLUMNS
from clbalance.settings.keys import POLICIES

_SIGNALS = ("HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "TSTP")
_WORDS: Mapping[str, Callable[[], Iterable[str]]] = {
    "COLUMNS": lambda: COLUMNS,
    "INDEX": lambda: (series.name for series in (ANSWERS, *NODE_SERIES, *GPU_SERIES)),
    "POLICY": lambda: POLICIES,
    "SIGNAL": lambda: _SIGNALS,
    "STATES": lambda: (state.value.lower() for state in JobState),
}
"""The words for kinds of values of which the program knows all."""
_KIND = re.compile(r"\[?([A-Z]+(?:=[A-Z]+)?)(?:\]|\[[^\[\]]*\])?(?:\.\.\.)?")


def declared_commands() -> Command:
    """All that is declared."""
    command = typer.main.get_command(whole_app())
    program = declared(command, typer.Context(command, info_name="clbalance", **command.context_settings))
    verbs = {verb: program.commands[verb]._replace(help=line) for verb, (_, line) in VERBS.items()}
    return program._replace(commands=verbs)


def declared(command: Any, context: Any) -> Command:
    """The table of one command, with the commands in it."""
    parameters = command.get_params(context)
    return Command(
        help=command.get_short_help_str(200),
        options=tuple(_option(one) for one in parameters if one.param_type_name == "option" and not one.hidden),
        arguments=tuple(
            Argument(value=_value(one), repeats=one.nargs != 1)
            for one in parameters
            if one.param_type_name == "argument"
        ),
        commands={
            name: declared(inner, typer.Context(inner, info_name=name, parent=context, **inner.context_settings))
            for name, inner in getattr(command, "commands", {}).items()
        },
        mixed=bool(command.context_settings.get("allow_interspersed_args", command.allow_interspersed_args)),
    )


def _option(option: Any) -> Option:
    takes_none = option.is_flag or option.count
    return Option(
        names=tuple(sorted([*option.opts, *option.secondary_opts], key=lambda name: (-len(name), name))),
        value=None if takes_none else _value(option),
        repeats=bool(option.multiple),
        help=" ".join((option.help or "").split()),
    )


def _value(parameter: Any) -> Value:
    if choices := getattr(parameter.type, "choices", None):
        return Value(kind="", words=tuple(str(getattr(one, "value", one)) for one in choices))
    parts = (parameter.metavar or "").split("|")
    found = _KIND.fullmatch(parts[0])
    kind = found[1] if found else ""
    literal = [word for word in parts if word.isalpha() and word.islower()]  # `--pick N|all`, `--engine ssh|slurm`
    if not kind and type(parameter.type).__name__ == "TyperPath":
        kind = "FILE"
    return Value(kind=kind, words=(*literal, *_WORDS.get(kind, tuple)()))
