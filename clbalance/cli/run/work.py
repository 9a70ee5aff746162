"""The payload of a job: a script with its content at submission, a command, or a shell text."""

import re
import shlex
import sys
from pathlib import Path

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.job import Command, Payload, Script
from clbalance.written_text import NotUtf8Error, without_bom

_MAX_SCRIPT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """The words after the options of `run`."""

    words: tuple[str, ...] = ()
    exact: bool = False
    """The words came after `--`: a command, not a script."""
    content: bytes | None = None
    """The script's content, if it was read already for its `#CLB` lines."""


def payload_of(text: str | None, typed: CommandLine) -> Payload:
    """The payload for `-c TEXT` or a command line; `UsageError` if there is nothing to run, or no readable script."""
    words = typed.words
    if text is not None:
        if "\r\n" in text:
            raise UsageError("`-c`: a line ends with a carriage return (CRLF)", hint=_CONVERT.format("-d '\\r'"))
        return Command(argv=("/bin/sh", "-c", text, "sh", *words))
    if not words:
        raise UsageError(
            "nothing to run",
            hint="`clbalance run job.sh`, `clbalance run -- COMMAND ARG...` or `clbalance run -c TEXT`",
        )
    if typed.exact:
        return Command(argv=words)
    content = script_content(words[0]) if typed.content is None else typed.content
    return Script(name=script_name(words[0]), content=content, args=words[1:])


def script_name(path: str) -> str:
    """The script's name in messages, and the default name of the job."""
    return "stdin" if path == "-" else Path(path).name


def script_content(path: str) -> bytes:
    """The script's present content: later edits do not change the job. `UsageError` if it cannot be read or run."""
    try:
        if path == "-":
            content = sys.stdin.buffer.read(_MAX_SCRIPT_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(_MAX_SCRIPT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"script `{path}`: {error.strerror}", hint=_script_hint(path, error)) from error
    if len(content) > _MAX_SCRIPT_BYTES:
        raise UsageError(f"script `{path}` has more than {_MAX_SCRIPT_BYTES >> 20} MiB", hint="is it a script at all?")
    return checked_script(content, path)


def checked_script(content: bytes, path: str) -> bytes:
    """The script without a byte order mark. `UsageError` if it is empty, UTF-16, or has line ends of another system.

    A shell takes a carriage return for a part of the line's last word. In a comment it does no harm. What follows a NUL
    is no text: the archive in a self-extracting script.
    """
    try:
        plain = without_bom(content)
    except NotUtf8Error as error:
        raise UsageError(f"script `{path}`: {error}", hint=error.hint) from error
    if not plain:
        raise UsageError(f"script `{path}` is empty")
    text = plain.partition(b"\0")[0]
    if b"\r" in text and b"\n" not in text:
        raise UsageError(
            f"script `{path}`: its lines end with carriage returns alone", hint=_CONVERT.format("'\\r' '\\n'")
        )
    if found := _CRLF.search(text):
        line = text.count(b"\n", 0, found.start()) + 1
        hint = (
            _CONVERT.format("-d '\\r'") if path == "-" else f"`sed -i 's/\\r$//' {shlex.quote(path)}` takes them away"
        )
        raise UsageError(f"script `{path}`: line {line} ends with a carriage return (CRLF)", hint=hint)
    return plain


_CRLF = re.compile(rb"\A#!.*\r$|^(?![ \t]*#).*\r$", re.MULTILINE)
_CONVERT = "`tr {} <OLD >NEW` converts it"


def _script_hint(path: str, error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return f"to run a command, put `--` before it: `clbalance run -- {path}`"
        case IsADirectoryError():
            return "name a file"
        case _:
            return "it is read here, by you, and sent to the node"
