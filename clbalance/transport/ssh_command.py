"""The command line of ssh: the user's options first, then ours, which no configuration may undo."""

import os
import shlex
from collections.abc import Collection, Sequence
from functools import cache

REMOTE_COMMAND = "RemoteCommand"
"""An option of ssh since OpenSSH 7.6; an older one refuses to run with it."""


def ssh_call(path: str, options: str) -> list[str]:
    """The program, which may have arguments, and the user's options. `~` is the home folder, as in ClusterShell."""
    return [os.path.expanduser(word) for word in (*_words(path), *_words(options))]  # noqa: PTH111 - not a path only


@cache
def _words(text: str) -> tuple[str, ...]:
    """The same for every node of a sweep."""
    return tuple(shlex.split(text))


def ssh_argv(  # noqa: PLR0913 - each is a part of one command line
    node: str,
    command: str,
    *,
    path: str,
    options: str,
    more: Sequence[str] = (),
    user: str,
    connect_timeout_s: float,
    lacks: Collection[str] = (),
    terminal: bool = False,
    subsystem: bool = False,
) -> list[str]:
    """The argv that runs `command` on `node`. `command` never contains user input.

    `options`: the user's, quoted as in a shell. `more`: those of this call, after them. `lacks`: options that this ssh
    is too old for. `subsystem`: `command` names one of sshd.
    """
    return [
        *ssh_call(path, options),
        *more,
        # At the default level, ssh prints "Connection closed" after a session with a terminal.
        *(["-tt", "-oLogLevel=ERROR"] if terminal else ["-T"]),
        *_fixed(lacks),
        f"-oRequestTTY={'force' if terminal else 'no'}",
        f"-oConnectTimeout={max(1, round(connect_timeout_s))}",
        *(["-l", user] if user else []),
        *(["-s"] if subsystem else []),
        "--",
        node,
        command,
    ]


def gateway_options(options: str, lacks: Collection[str] = ()) -> str:
    """The options that a gateway gives to its ssh: the user's, then ours. ClusterShell adds the time to connect."""
    return " ".join((options, "-T", *_fixed(lacks), "-oRequestTTY=no")).strip()


def _fixed(lacks: Collection[str]) -> tuple[str, ...]:
    return (
        "-oBatchMode=yes",
        "-oForwardAgent=no",
        "-oForwardX11=no",
        "-oClearAllForwardings=yes",
        "-oPermitLocalCommand=no",
        *(() if REMOTE_COMMAND in lacks else (f"-o{REMOTE_COMMAND}=none",)),  # ssh runs either that one or ours
        "-oUpdateHostKeys=no",  # many clients at once would rewrite one known_hosts
        "-oServerAliveInterval=5",
        "-oServerAliveCountMax=3",
    )
