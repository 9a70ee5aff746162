"""`#CLB --gpus 1 --mem 20G` in the leading comments of a script: defaults for the options of `run`.

They are parsed by the parser of `run`, so options have the same meaning as on the command line. Typed options win;
options that can be repeated add up, the script's first.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import fields
from io import BytesIO
from typing import Any

import typer

from clbalance.cli.app import MistypedError
from clbalance.cli.options import RequestOptions
from clbalance.cli.run.options import JobOptions
from clbalance.cli.run.work import script_content
from clbalance.errors import UsageError

_GROUPS = (RequestOptions, JobOptions)
_OF_THE_CALL = frozenset({"text", "pty", "detach", "notify", "explain", "gather", "label"})
"""Not allowed in a script: they say how one call is run and shown, or, as `--notify`, run a command here."""
_ONE_OF = ({"gpus", "gpu_share"},)
"""Options that replace each other: if one is typed, the script's others are ignored."""
_LINE = re.compile(rb"#CLB(?:[ \t]+(.*))?")


def take_directives(ctx: typer.Context, parse: Callable[[list[str]], typer.Context]) -> bytes | None:
    """Put the script's options into `ctx`, where none were typed. The script's content; None if no script is run.

    `UsageError` for a `#CLB` line that cannot be parsed, or an option that a script may not have.
    """
    path = _script_path(ctx)
    if path is None:
        return None
    content = script_content(path)
    given = _directives_in(content, path, parse)
    typed = {name for name in ctx.params if _is_typed(ctx, name)}
    replaced = set().union(*(group for group in _ONE_OF if group & typed))
    for name, value in given.items():
        if isinstance(value, list | tuple):
            ctx.params[name] = [*value, *(ctx.params[name] or ())]
        elif name not in typed | replaced:
            ctx.params[name] = value
    return content


def options_allowed(ctx: typer.Context) -> dict[str, str]:
    """The options that are allowed in a script: parameter name to spelling, such as `--gpus`."""
    names = {one.name for group in _GROUPS for one in fields(group)} - _OF_THE_CALL
    return {one.name: max(one.opts, key=len) for one in ctx.command.params if one.name in names}


def _script_path(ctx: typer.Context) -> str | None:
    words = ctx.params.get("words")
    is_other = any(ctx.params.get(name) is not None for name in ("text", "tasks", "resume"))
    return None if not words or ctx.meta["exact"] or is_other else str(words[0])


def _is_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _directives_in(content: bytes, path: str, parse: Callable[[list[str]], typer.Context]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for number, text in clb_lines(content):
        where = f"{'stdin' if path == '-' else path}:{number}"
        for name, value in _options_of(text, where, parse).items():
            given[name] = [*given.get(name, ()), *value] if isinstance(value, list | tuple) else value
    return given


def _options_of(text: str, where: str, parse: Callable[[list[str]], typer.Context]) -> dict[str, Any]:
    """The options in one line; `where` is the script and line number, for errors."""
    try:
        parsed = parse(shlex.split(text, comments=True))
    except ValueError as error:
        raise UsageError(f"{where}: {error}", hint="quote as for a shell") from error
    except MistypedError as error:
        message = str(error.format_message())  # type: ignore[attr-defined]  # as every ClickException has it
        raise UsageError(f"{where}: {message}", hint="`clbalance run --help` shows what can be typed") from error
    given = {name: value for name, value in parsed.params.items() if _is_typed(parsed, name)}
    allowed = options_allowed(parsed)
    may = f"a script may have {' '.join(sorted(allowed.values()))}"
    if words := given.pop("words", None):
        raise UsageError(f"{where}: {words[0]!r} is no option", hint=may)
    if bad := next((name for name in given if name not in allowed), None):
        written = next(max(one.opts, key=len) for one in parsed.command.params if one.name == bad)
        raise UsageError(f"{where}: `{written}` is not allowed in a script", hint=may)
    return given


def clb_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """The `#CLB` lines with their numbers, up to the first line that is neither comment nor blank."""
    for number, line in enumerate(BytesIO(content), 1):
        text = line.strip()
        if text and not text.startswith(b"#"):
            return
        if found := _LINE.fullmatch(line.rstrip()):
            yield number, (found[1] or b"").decode(errors="surrogateescape")
