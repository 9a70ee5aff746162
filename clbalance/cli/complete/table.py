"""The verbs and their options as completion reads them: made once from typer's declarations, and kept in a file.

The file says of which files of the program it was made. When one of them has changed, it is made anew.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clbalance import __version__
from clbalance.cli.complete.commands import Argument, Command, Option, Value
from clbalance.wiring.small_file import read_small, replace_small

FILE = "completion-table.json"
_PACKAGE = Path(__file__).parents[2]


def command_table(folder: Path | None) -> Command:
    """The table from the file in `folder`; made anew, and kept, if that is not of this program as it is now."""
    path = None if folder is None else folder / FILE
    kept = None if path is None else _kept(path)
    if kept is not None:
        return kept
    from clbalance.cli.complete.declared import declared_commands

    made = declared_commands()
    if path is not None:
        replace_small(path, json.dumps({"version": __version__, "files": _files_imported(), "table": made}))
    return made


def _kept(path: Path) -> Command | None:
    try:
        parsed = json.loads(read_small(path))
        if parsed["version"] == __version__ and _are_unchanged(parsed["files"]):
            return _command(parsed["table"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass  # no file, or a damaged one
    return None


def _files_imported() -> dict[str, list[int]]:
    """Time and size of every file of the package that was imported: some of them have the declarations."""
    files = (getattr(module, "__file__", None) for name, module in sys.modules.items() if name.startswith("clbalance"))
    return {str(file): _stamp(file) for file in sorted(filter(None, files)) if Path(file).is_relative_to(_PACKAGE)}


def _are_unchanged(files: Mapping[str, list[int]]) -> bool:
    return __file__ in files and all(_stamp(file) == stamp for file, stamp in files.items())


def _stamp(file: str) -> list[int]:
    found = os.stat(file)  # noqa: PTH116 - for a hundred files, half the time of `Path.stat`
    return [found.st_mtime_ns, found.st_size]


def _command(parsed: Any) -> Command:
    help_line, options, arguments, commands, mixed = parsed
    return Command(
        help=str(help_line),
        options=tuple(
            Option(names=_texts(names), value=value and _value(value), repeats=bool(repeats), help=str(text))
            for names, value, repeats, text in options
        ),
        arguments=tuple(Argument(value=_value(value), repeats=bool(repeats)) for value, repeats in arguments),
        commands={str(name): _command(inner) for name, inner in commands.items()},
        mixed=bool(mixed),
    )


def _value(parsed: Any) -> Value:
    kind, words = parsed
    return Value(kind=str(kind), words=_texts(words))


def _texts(parsed: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, parsed))
