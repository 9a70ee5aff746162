"""`#CLB --gpus 1 --mem 20G` in the leading comments of a script: defaults for the options of `run`.

They are parsed by the parser of `run`, so options have the same meaning as on the command line. Typed options win;
options that can be repeated add up, the script's first. With `--sbatch`, `#SBATCH` lines are read as well, below them.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import typer

from clbalance.cli.app import MistypedError
from clbalance.cli.options import RequestOptions
from clbalance.cli.run.directives.comments import CommentLine, comment_lines
from clbalance.cli.run.options import JobOptions
from clbalance.cli.run.work import script_content, script_name
from clbalance.errors import UsageError

_GROUPS = (RequestOptions, JobOptions)
_OF_THE_CALL = frozenset({"text", "pty", "detach", "notify", "explain", "gather", "label", "sbatch"})
"""Not allowed in a script: they say how one call is run and shown, or, as `--notify`, run a command here."""
_OF_TASKS = frozenset({"array", "max_fail"})
"""The options of many tasks that are allowed."""
_ONE_OF = ({"gpus", "gpu_share"},)
"""Options that replace each other: if one is typed, the script's others are ignored."""
_LINE = re.compile(rb"#CLB(?:[ \t]+(.*))?")

_LOOKS_LIKE_OPTIONS = re.compile(
    rb"^[ \t]*#+[ \t]*(?:CLB|SBATCH|PBS|BSUB|MSUB|OAR|COBALT|flux:|\$)", re.MULTILINE | re.IGNORECASE
)

Parse = Callable[[list[str]], typer.Context]
"""The parser of `run`."""


def take_directives(ctx: typer.Context, parse: Parse) -> tuple[bytes | None, tuple[str, ...]]:
    """Put the script's options into `ctx`, where none were typed.

    Returns the script's content (None if no script is run), and remarks about lines that were not read.
    `UsageError` for a line that cannot be parsed, an option that a script may not have, or `--sbatch` without a script.
    """
    path = _script_path(ctx)
    if path is None:
        if ctx.params.get("sbatch"):
            raise UsageError("`--sbatch` reads the lines of a script", hint="`clbalance run --sbatch job.sh`")
        return None, ()
    content = script_content(path)
    given, remarks = _read(content, path, parse, with_sbatch=ctx.params["sbatch"])
    typed = {name for name in ctx.params if _is_typed(ctx, name)}
    replaced = set().union(*(group for group in _ONE_OF if group & typed))
    for name, value in given.items():
        if isinstance(value, list | tuple):
            ctx.params[name] = [*value, *(ctx.params[name] or ())]
        elif name not in typed | replaced:
            ctx.params[name] = value
    return content, remarks


def options_allowed(ctx: typer.Context) -> dict[str, str]:
    """The options that are allowed in a script: parameter name to spelling, such as `--gpus`."""
    names = {one.name for group in _GROUPS for one in fields(group)} - _OF_THE_CALL | _OF_TASKS
    return {one.name: max(one.opts, key=len) for one in ctx.command.params if one.name in names}


def _script_path(ctx: typer.Context) -> str | None:
    words = ctx.params.get("words")
    is_other = any(ctx.params.get(name) is not None for name in ("text", "tasks", "resume"))
    return None if not words or ctx.meta["exact"] or is_other else str(words[0])


def _is_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _read(content: bytes, path: str, parse: Parse, *, with_sbatch: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The options by parameter name, and the remarks."""
    lines = comment_lines(content)
    shown = "stdin" if path == "-" else path
    given: dict[str, Any] = {}
    not_taken: tuple[str, ...] = ()
    if with_sbatch:
        words, not_taken = _from_sbatch(lines, path, shown)
        given = _options_of(words, f"{shown}: #SBATCH", parse)
    for number, text in clb_lines(lines):
        for name, value in _options_of(_split(text, f"{shown}:{number}"), f"{shown}:{number}", parse).items():
            given[name] = [*given.get(name, ()), *value] if isinstance(value, list | tuple) else value
    if not _LOOKS_LIKE_OPTIONS.search(content):
        return given, ()
    from clbalance.cli.run.directives.unread import remarks_on  # deferred import: few scripts have such lines

    return given, remarks_on(content, lines, path, not_taken=not_taken, with_sbatch=with_sbatch)


def _from_sbatch(lines: list[CommentLine], path: str, shown: str) -> tuple[list[str], tuple[str, ...]]:
    """The words for `run`, and what was not taken over."""
    from clbalance.cli.run.directives.sbatch import translate
    from clbalance.cli.run.directives.sbatch_lines import sbatch_options

    found = translate(sbatch_options(lines, shown), script_name(path))
    return found.words, found.not_taken


def _split(text: str, where: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError as error:
        raise UsageError(f"{where}: {error}", hint="quote as for a shell") from error


def _options_of(words: list[str], where: str, parse: Parse) -> dict[str, Any]:
    """The options in these words; `where` is the script and line number, for errors."""
    try:
        parsed = parse(words)
    except MistypedError as error:
        message = str(error.format_message())  # type: ignore[attr-defined]  # as every ClickException has it
        raise UsageError(f"{where}: {message}", hint="`clbalance run --help` shows what can be typed") from error
    given = {name: value for name, value in parsed.params.items() if _is_typed(parsed, name)}
    allowed = options_allowed(parsed)
    may = f"a script may have {' '.join(sorted(allowed.values()))}"
    if rest := given.pop("words", None):
        raise UsageError(f"{where}: {rest[0]!r} is no option", hint=may)
    if bad := next((name for name in given if name not in allowed), None):
        written = next(max(one.opts, key=len) for one in parsed.command.params if one.name == bad)
        raise UsageError(f"{where}: `{written}` is not allowed in a script", hint=may)
    return given


def clb_lines(lines: list[CommentLine]) -> Iterator[tuple[int, str]]:
    """The `#CLB` lines that count, with their numbers: those before the first command."""
    for line in lines:
        if line.is_leading and (found := _LINE.fullmatch(line.text)):
            yield line.number, (found[1] or b"").decode(errors="surrogateescape")
