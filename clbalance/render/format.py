"""The forms of output and whether to colour it. Every `--help` names them, so nothing here loads what draws."""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never


class Format(StrEnum):
    """What `--format` was given."""

    HUMAN = "human"
    JSON = "json"
    PLAIN = "plain"


# Whether to colour: decided once, from what was asked, the environment and the kind of output.


class Color(StrEnum):
    """What `--color` was given."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def wants_color(choice: Color, environment: Mapping[str, str], *, terminal: bool) -> bool:
    """The option wins, then NO_COLOR (not empty; no-color.org), then CLICOLOR_FORCE (bixense.com/clicolors)."""
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
