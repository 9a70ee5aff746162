"""A row of bars, one character each: how high something was over time."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.history import TimeCell


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """What bars are made of."""

    settings: str
    """From the lowest to the highest."""
    silence: str
    """Where there was no answer."""


UNICODE: Final = Blocks(settings="▁▂▃▄▅▆▇█", silence="×")  # noqa: RUF001 - the sign, which is no letter
ASCII: Final = Blocks(settings="_.:-=+*#", silence="x")

_COERCED: Final = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})
"""Where the locale is C, Python puts one of these there at its start (PEP 538), whatever the terminal can show."""


def blocks_for(environment: Mapping[str, str]) -> Blocks:
    """Those that the locale can show: the first of its variables that is set counts, as for setlocale(3)."""
    set_to = {name: environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")}
    if set_to["LC_CTYPE"] in _COERCED:
        del set_to["LC_CTYPE"]
    named = next((text for text in set_to.values() if text), "")
    return UNICODE if re.search("utf-?8", named, re.IGNORECASE) else ASCII


def sparkline(cells: Sequence[TimeCell], top: float, blocks: Blocks) -> str:
    """From 0 to `top`; a blank where nothing is known."""
    return "".join(_bar(cell, top, blocks) for cell in cells)


def _bar(cell: TimeCell, top: float, blocks: Blocks) -> str:
    if cell.is_silent:
        return blocks.silence
    if cell.value is None:
        return " "
    share = min(max(cell.value / top, 0.0), 1.0)
    return blocks.settings[min(int(share * len(blocks.settings)), len(blocks.settings) - 1)]
