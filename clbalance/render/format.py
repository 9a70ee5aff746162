"""The forms of output, and whether to use colour. Every `--help` names them, so this imports no drawing code."""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never


class Format(StrEnum):
    """The values of `--format`."""

    HUMAN = "human"
    JSON = "json"
    PLAIN = "plain"


class Color(StrEnum):
    """The values of `--color`."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def wants_color(choice: Color, environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether to use colour: by the option, else NO_COLOR (not empty; no-color.org), else CLICOLOR_FORCE and CLICOLOR
    (bixense.com/clicolors), else on a terminal.
    """
    match choice:
        case Color.ALWAYS:
            return True
        case Color.NEVER:
            return False
        case Color.AUTO:
            pass
        case _:
            assert_never(choice)
    if environment.get("NO_COLOR"):
        return False
    if environment.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        return True
    return terminal and environment.get("CLICOLOR") != "0" and environment.get("TERM") != "dumb"
