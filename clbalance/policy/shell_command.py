"""A command for an open shell (`/bin/sh -s`) on a node, and its output between marks. Pure.

The command runs in the background, so that the shell still reads what it is sent: that is how the command is ended.
Should the shell itself come to its end, it kills the command first. What belongs to the command is found by a variable
in its environment. `$SHELL` gets the command whole, as from sshd; it has no input and no terminal.

What a command leaves in the background may print later. It would do so on the same channel as the commands after it. So
the output of one that may leave something is read by a filter, up to its mark; what comes later is thrown away, for as
long as there is somebody who writes. The filter takes 4 ms of processor time on each node, twice what `true` takes, so
others do without.
"""

import re
import shlex
from typing import Final

from clbalance.lazy_dataclass import dataclass

_TEXT: Final = """\
clb_n={nonce}
clb_end() {{
  for clb_p in $(grep -l -s -F "CLBALANCE_COMMAND=$clb_n" /proc/[0-9]*/environ); do
    clb_p=${{clb_p%/environ}}
    kill "-$1" "${{clb_p#/proc/}}"
  done 2>/dev/null
}}
clb_end_all() {{ clb_end KILL; clb_end KILL; }}
trap clb_end_all 0
echo "$clb_n starts"
{{ CLBALANCE_COMMAND=$clb_n "${{SHELL:-/bin/sh}}" -c {command} </dev/null 2>&1
printf '\\n%s %s\\n' "$clb_n" "$?"; }}{filter} &
"""
_FILTER: Final = r""" | { LC_ALL=C sed "/^$clb_n [0-9]*\$/q"; cat <&3 >/dev/null 2>&1 3<&- & } 3<&0"""
END_COMMAND: Final = b"clb_end TERM\n"
"""Ends a command that runs."""
AFTER_COMMAND: Final = b"wait; trap - 0\n"
"""Is sent after a command has ended: what it has left in the background lives on."""
AFTER_ENDED_COMMAND: Final = b"clb_end_all; " + AFTER_COMMAND
"""Is sent instead where we have ended it: a process that was just being started was not found then. The search is
repeated, for while a process becomes another program it has no environment.
"""
_LINE_COST_BYTES: Final = 64
_CODE = re.compile(rb"[0-9]{1,3}")
_MAY_LEAVE_SOMETHING = re.compile(r"(?<![&<>])&(?![&>])|\b(?:nohup|setsid|daemon|service|init\.d)\b")
"""A `&` of the shell, and programs that start others to stay."""


def command_request(command: str, nonce: str) -> bytes:
    """What to send so that the shell runs `command`. `nonce`: 32 hexadecimal digits."""
    filtered = _FILTER if _MAY_LEAVE_SOMETHING.search(command) else ""
    return _TEXT.format(nonce=nonce, command=shlex.quote(command), filter=filtered).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Started:
    """The shell works, and has started the command."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The command has ended with this exit code."""

    code: int


class CommandOutput:
    """Takes the lines of a node's shell one by one, and collects those of the command."""

    __slots__ = ("_has_started", "_marker", "bytes", "lines")

    def __init__(self, nonce: str) -> None:
        self._marker = nonce.encode() + b" "
        self._has_started = False
        self.lines: list[bytes] = []
        self.bytes = 0
        """What the lines take in memory, about."""

    def feed(self, line: bytes) -> Started | Ended | None:
        """What this line says of the command; None: it belongs to the output, or to nothing of ours."""
        if line.startswith(self._marker):
            word = line[len(self._marker) :].rstrip(b"\r")
            if word == b"starts" and not self._has_started:
                self._has_started = True
                return Started()
            if self._has_started and _CODE.fullmatch(word) and int(word) < 256:
                if self.lines and not self.lines[-1]:
                    self.lines.pop()  # the newline before the mark, after one of the command's own
                return Ended(int(word))
        if self._has_started:
            self.lines.append(line)
            self.bytes += len(line) + _LINE_COST_BYTES
        return None
