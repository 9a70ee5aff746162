"""Names that want to be commands: every shape in which text has ever reached a shell, ssh or ClusterShell's upcalls.

The canary is a file: a name that is taken for a command makes it.
"""

import random
from collections.abc import Iterator

CANARY = "CANARY"

_COMMANDS = (f"touch {CANARY}", f"touch${{IFS}}{CANARY}", f"touch\t{CANARY}", f">{CANARY}", f"touch%20{CANARY}")
_SHAPES = (
    "-oProxyCommand={}",
    "-oLocalCommand={}",
    "-oKnownHostsCommand={}",
    "-oPermitLocalCommand=yes -oLocalCommand={}",
    "-Eproxy {}",
    "-F{}",
    "-F {}",
    "--",
    "-- {}",
    "--help",
    ";{}",
    "n1;{}",
    "n1 ; {} ;",
    "$({})",
    "n$({})",
    "n[$({})]",
    "`{}`",
    "n`{}`",
    "n1|{}",
    "|{}",
    "||{}",
    "&{}",
    "n1&&{}",
    "n1\n{}",
    "\n{}\n",
    "n1\r{}",
    "n1\0{}",
    "@g;{}",
    "@g:{}",
    "@$({})",
    "@`{}`",
    "@s:g;{}",
    "@s;{}:g",
    "@g'{}'",
    '@g" ; {} "',
    "@g$/e {}",  # sed's own `e`, where an upcall is a sed script
    "@*;{}",
    "@g[1-2;{}]",
    "n1@{}",
    "{}@n1",
    "-l {}",
    "u;{}",
    "%h;{}",
    "%host;{}",
    "'{}'",
    '"{}"',
    "'; {} #",
    '"; {} #',
    "<({})",
    "{{{}}}",
    "~/{}",
    "../{}",
    "/dev/tcp/127.0.0.1/1;{}",
    "file:///bin/sh -c {}",
    "=cmd|' /C {}'!A0",
    "${{jndi:{}}}",
    "{{{{ {} }}}}",
    "%x{{{}}}",
    "n\x1b]52;c;{}\x07",
    "n\u202e{}",
    "\uff4e\uff1b{}",  # full-width n and semicolon: NFKC makes them plain
)
_PARTS = (
    *(
        "node",
        "gpu",
        "n",
        "u",
        "g",
        "rack",
        "1",
        "9",
        "007",
        "[1-4]",
        "[1-99999999999]",
        "[1 - 999999999]",
        "[1---2]",
        "[1-4/2]",
        "[a-c]",
        "[",
        "]",
    ),
    *("@", "@g", "@*", ":", ",", "!", "&", "^", "*", "?", "-", "--", "-o", "=", "/", ".", "..", "%n", "%j", "%", "%%"),
    *(" ", "\t", "\n", "\0", "\r", ";", "|", "`", "$(", ")", "${IFS}", "'", '"', "\\", "#", "<", ">", "~", "é", "☃"),
    *("\x1b[31m", "\x9b", "\udcff", "\u202e", "\ufeff", "[red]", "[/]", "x" * 300),
)


def nasty_names(count: int, chance: random.Random) -> Iterator[str]:
    """`count` names: every shape with every command first, then random ones made of their parts."""
    made = 0
    for shape in _SHAPES:
        for command in _COMMANDS:
            if made == count:
                return
            yield shape.format(command)
            made += 1
    for _ in range(count - made):
        yield _random_name(chance)


def _random_name(chance: random.Random) -> str:
    pieces = chance.choices(_PARTS, k=chance.randint(1, 8))
    if chance.random() < 0.5:
        pieces.insert(chance.randrange(len(pieces) + 1), chance.choice(_SHAPES).format(chance.choice(_COMMANDS)))
    return "".join(pieces)
