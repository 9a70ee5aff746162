"""Calls of functions as commands: a function is named `module:function`, arguments and results are JSON. Pure.

Nothing is pickled: what comes back from a node is data, and is parsed as JSON alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from clbalance.errors import RemoteError, TaskFailedError, UsageError
from clbalance.library.values import Completed

VARIABLE = "CLBALANCE_CALL"
"""The variable of a task that holds the program which makes the call: the same for all calls."""

PROGRAM = """\
import os, sys
out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # what the function prints is no part of its result
import importlib, json, traceback
try:
    name, text = sys.argv[1:]
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    given = json.loads(text)
    answer = {"result": found(*given["args"], **given["kwargs"])}
    text = json.dumps(answer)
except Exception as error:
    answer = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
    text = json.dumps(answer)
sys.stdout.flush()
out.write(text)
out.close()
"""
"""Runs on a node by Python 3.6 or later, and prints one JSON document."""

_LOADER = f"import os; exec(os.environ.pop({VARIABLE!r}))"
_MOST_SHOWN = 200  # characters of what a node says, in messages


def function_name(function: str | Callable[..., object]) -> str:
    """`module:function` for a function, or for its name. `UsageError` for one that a node cannot import by its name."""
    if isinstance(function, str):
        module, colon, path = function.partition(":")
        if not (colon and path and all(part.isidentifier() for part in (*module.split("."), *path.split(".")))):
            hint = '`module:function`; a command is a list of words: ["gzip", "-k", path], or ["sh", "-c", text]'
            raise UsageError(f"{function[:80]!r} names no function", hint=hint)
        return function
    home, path = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if home == "__main__" or _found(home, path) is not function:
        raise UsageError(
            f"{function!r:.120} cannot be imported on a node by its name",
            hint="a function of a module (not of the script itself, no lambda, no method of an object)",
        )
    return f"{home}:{path}"


def call_words(python: str, name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> tuple[str, ...]:
    """The words that make the call on a node. `UsageError` for arguments that JSON cannot express."""
    try:
        text = json.dumps({"args": list(args), "kwargs": dict(kwargs)}, allow_nan=False)
    except (TypeError, ValueError) as error:
        hint = "numbers, text, lists, dictionaries, None; put anything else into a file"
        raise UsageError(f"an argument of `{name}` is not JSON: {error}", hint=hint) from error
    return (python, "-c", _LOADER, name, text)


def result_of(name: str, completed: Completed) -> Any:
    """What the function has returned. `RemoteError` if it has raised; `TaskFailedError` if there is no answer of it."""
    try:
        answer = json.loads(completed.stdout)
    except (ValueError, RecursionError):
        answer = None
    if completed.returncode == 0 and isinstance(answer, dict) and answer.keys() == {"result"}:
        return answer["result"]
    if isinstance(answer, dict) and answer.keys() == {"type", "message", "traceback"}:
        kind, message = str(answer["type"]), str(answer["message"])
        raise RemoteError(
            f"`{name}` on {completed.node}: {kind}: {message[:_MOST_SHOWN]}",
            node=completed.node,
            type_name=kind,
            traceback=str(answer["traceback"]),
        )
    said = completed.stderr.decode("utf-8", "backslashreplace").strip()[-_MOST_SHOWN:]
    raise TaskFailedError(
        f"`{name}` on {completed.node} has given no result (exit code {completed.returncode}){': ' * bool(said)}{said}",
        state="FAILED",
        node=completed.node,
        completed=completed,
    )


def _found(module: str, path: str) -> object:
    try:
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):  # ValueError: no name at all
        return None
    return found
