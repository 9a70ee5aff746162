"""Finds the cause of a failed ssh, by matching OpenSSH's messages on stderr.

Pure. Exit code 255 alone proves nothing: ssh exits with it if it cannot connect, but so may a remote command, and so
does a shell killed by a signal.
"""

import re

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a session ended, in one line, and whether a retry can help (`again`)."""

    cause: Cause
    reason: str
    again: bool = False


# The first pattern found decides. The reasons for `again` are in docs/design/transport.md. Nothing is compiled before
# there is a failure.
_PATTERNS: tuple[tuple[str, Cause, bool], ...] = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", Cause.HOSTKEY_CHANGED, False),
    (r"Host key verification failed", Cause.HOSTKEY_UNKNOWN, False),
    (r"Could not resolve hostname", Cause.DNS, False),
    (r"Not allowed at this time", Cause.PENALISED, False),
    (
        (
            r"Permission denied \(|Too many authentication failures|[Aa]ccess denied|not permitted to log in"
            r"|account (is|has) (expired|locked|not available)|nologin|System is going down"
        ),
        Cause.AUTH,
        False,
    ),
    (r"Connection refused", Cause.REFUSED, True),
    (r"timed out during banner exchange|Timeout, server .* not responding", Cause.HUNG, True),
    (
        r"No route to host|Network is unreachable|Connection timed out|Operation timed out",
        Cause.UNREACHABLE,
        True,
    ),
    (
        (
            r"kex_exchange_identification: (Connection closed by remote host|read: Connection reset by peer)"
            r"|Exceeded MaxStartups"
        ),
        Cause.THROTTLED,
        True,
    ),
    (r"ControlPath too long|mux_client|ControlSocket|unix_listener", Cause.MUX, True),
    (r"Too many logins for", Cause.LIMITS, True),
    (r"No space left on device|Read-only file system|Disk quota exceeded", Cause.STORAGE, False),
    (r"(?i)Bad configuration option: remotecommand", Cause.LOCAL, True),  # older than OpenSSH 7.6; it was ours
    (r"hostname contains invalid characters|Bad configuration option|no such identity", Cause.LOCAL, False),
    (r"Connection to .* closed by remote host|Broken pipe|client_loop: send disconnect", Cause.LOST, False),
)
# Lines that are no reason. OpenSSH 10.1 and later warn if a server has no post-quantum key exchange.
_NOT_A_REASON = r"\*\* (WARNING|This session|The server may)|^Warning: Permanently added|^\s*$|^@+$|^debug1"

_USAGE = "usage: ssh "  # ssh prints it after an unknown option


def classify(rc: int, stderr: str) -> Failure:
    """The failure of an ended ssh, from its exit code and the tail of its stderr."""
    own_words, usage, _ = stderr.partition(_USAGE)
    if usage and rc == 255 and own_words.strip():
        return Failure(cause=Cause.LOCAL, reason=own_words.strip().splitlines()[-1])
    for pattern, cause, again in _PATTERNS if stderr else ():
        found = re.search(pattern, stderr)
        if found:
            return Failure(cause=cause, reason=_line_of(stderr, found.start()), again=again)
    said = [line.strip() for line in stderr.splitlines() if not re.search(_NOT_A_REASON, line)]
    if said:
        return Failure(cause=Cause.NO_SHELL if rc not in (0, 255) else Cause.LOST, reason=said[-1])
    if rc in (0, 1, 126, 127):
        return Failure(cause=Cause.NO_SHELL, reason=f"it ended with {rc} without a message")
    return Failure(cause=Cause.LOST, reason=f"ssh ended with {rc} without a message")


def _line_of(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[start : end if end >= 0 else len(text)].strip(" \r@").removeprefix("ssh: ")
