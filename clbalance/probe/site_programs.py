"""The shell text by which a probe runs the site's own programs on a node (docs/design/plugins.md). Pure.

Each program is a section of its own, `plugin_a`, `plugin_b`, …, under the probe's guard for what can hang.
"""

import re
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model.plugins import NodeProgram

MOST_PROGRAMS: Final = len(ascii_lowercase)
MOST_TEXT_BYTES: Final = 16_384
MOST_OUTPUT_BYTES: Final = 4096
_INTERPRETERS: Final = {"sh": "-c", "dash": "-c", "bash": "-c", "ksh": "-c", "python3": "-c", "perl": "-e"}
"""Programs that take another one's text as an argument, each with the option for it."""
_BEFORE_ARGUMENTS: Final = {"python3": "", "perl": "--"}
"""What stands between the text and the arguments; elsewhere, it is a shell, and that is its name."""
_FIRST_LINE = re.compile(r"#! *(/[A-Za-z0-9_./+-]+)((?: +[A-Za-z0-9_.+-]+)*) *")

# In a session of its own, so that all its processes can be ended, also those that it leaves behind. Its last line tells
# that the output is whole; where that was cut off, the probe's own next line must begin a line all the same.
_FUNCTIONS: Final = f"""\
plugin() {{
setsid sh -c '{{ "$@"; printf "\\nexit %s\\n" "$?"; }} | head -c {MOST_OUTPUT_BYTES}
set -- $?; trap "" TERM; kill 0; exit "$1"' sh "$@" &
child=-$!
wait "${{child#-}}"
set -- $?
echo
return "$1"
}}
roots() {{
wanted=
for part; do wanted=${{wanted}}d; done
found=
for facts in $(stat -c '%u%A' -- "$@"); do
case $facts in
0d????-??-?) found=${{found}}d ;;
0-????-??-?) found=$found- ;;
*) break ;;
esac
done
[ "$found" != "${{wanted%d}}-" ] || return 0
if [ -e "$part" ]; then echo refused; else echo missing; fi
return 1
}}
"""
"""`roots`: whether each folder of a path and the file at its end belong to root, and nobody else may write to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteScript:
    """What is put into the probe's script: functions, and their time limits."""

    functions: str
    limits: str


def site_script(programs: Sequence[NodeProgram]) -> SiteScript:
    """The text for these programs. Each must have passed `why_not_sent`."""
    functions = [_FUNCTIONS]
    limits = []
    for at, program in enumerate(programs):
        functions.append(f"{section_of(at)}() {{\n{_call(program)}\n}}\n")
        limits.append(f"{section_of(at)}) limit={program.timeout_s} ;;")
    return SiteScript(functions="".join(functions), limits=f"case $1 in {' '.join(limits)} esac")


def section_of(position: int) -> str:
    """The name of a program's section."""
    return f"plugin_{ascii_lowercase[position]}"


def why_not_sent(text: str) -> str:
    """Why this text cannot be sent as a program; empty: it can."""
    if len(text.encode()) > MOST_TEXT_BYTES:
        return f"it is longer than {MOST_TEXT_BYTES >> 10} KiB"
    if "\0" in text:
        return "there is a NUL in it"
    if _interpreter(text) is None:
        return f"its first line must name one of {', '.join(_INTERPRETERS)}, such as `#!/bin/sh`"
    return ""


def _call(program: NodeProgram) -> str:
    arguments = " ".join(map(_quoted, program.arguments))
    if program.path:
        folders = ["/"]
        for part in program.path.split("/")[1:]:
            folders.append(f"{folders[-1].rstrip('/')}/{part}")
        return f"roots {' '.join(map(_quoted, folders))} && plugin {_quoted(program.path)} {arguments}"
    words = _interpreter(program.text)
    assert words is not None
    interpreter = words[0].rpartition("/")[2]
    between = _BEFORE_ARGUMENTS.get(interpreter, _quoted(program.name))
    text = f'"$(printf %b {_escaped(program.text)})"'
    return f"plugin {' '.join(words)} {_INTERPRETERS[interpreter]} {text} {between} {arguments}"


def _interpreter(text: str) -> list[str] | None:
    """The interpreter that the first line names, with its options; None: none that we know."""
    found = _FIRST_LINE.fullmatch(text.partition("\n")[0].rstrip("\r"))
    if found is None:
        return None
    words = [found[1], *found[2].split()]
    if words[0].endswith("/env"):
        words = words[1:]
    if not words or words[0].rpartition("/")[2] not in _INTERPRETERS:
        return None
    return words if all(word.startswith("-") for word in words[1:]) else None


def _quoted(text: str) -> str:
    """One word of a shell, without a place of the probe's script. It stays as it is: a setting has only one line."""
    return "'" + text.replace("'", "'\\''").replace("@", "'@'") + "'"


def _escaped(text: str) -> str:
    """A word on one line that `printf %b` turns back into the text: indents and comments of the probe are not sent."""
    return "'" + "".join(map(_escaped_byte, text.encode())) + "'"


def _escaped_byte(byte: int) -> str:
    if byte == ord("\n"):
        return "\\n"
    return chr(byte) if 32 <= byte < 127 and byte not in b"\\'@" else f"\\0{byte:03o}"
