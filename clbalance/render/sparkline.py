"""The characters of drawings, and a row of bars that shows values over time, one character each."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.history import TimeCell


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """The characters that values are drawn with."""

    bars: str
    """From the lowest to the highest."""
    silence: str
    """For a time without an answer, or a node without one."""
    shades: str
    """Of a map, from the lowest to the highest."""
    cut: str
    """Where a text is cut."""


UNICODE: Final = Blocks(bars="▁▂▃▄▅▆▇█", silence="×", shades="·░▒▓█", cut="…")  # noqa: RUF001 - the signs are meant
ASCII: Final = Blocks(bars="_.:-=+*#", silence="x", shades=".:+*#", cut="~")

_COERCED: Final = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})
"""In the C locale, Python sets LC_CTYPE to one of these at its start (PEP 538), whatever the terminal can show."""


def blocks_for(environment: Mapping[str, str]) -> Blocks:
    """The characters that the locale can show: the first of its variables that is set counts, as for setlocale(3)."""
    set_to = {name: environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")}
    if set_to["LC_CTYPE"] in _COERCED:
        del set_to["LC_CTYPE"]
    named = next((text for text in set_to.values() if text), "")
    return UNICODE if re.search("utf-?8", named, re.IGNORECASE) else ASCII


def sparkline(cells: Sequence[TimeCell], top: float, blocks: Blocks) -> str:
    """One bar for each cell, on a scale from 0 to `top`; a blank for an unknown value."""
    return "".join(_bar(cell, top, blocks) for cell in cells)


def _bar(cell: TimeCell, top: float, blocks: Blocks) -> str:
    if cell.is_silent:
        return blocks.silence
    if cell.value is None:
        return " "
    share = min(max(cell.value / top, 0.0), 1.0)
    return blocks.bars[min(int(share * len(blocks.bars)), len(blocks.bars) - 1)]
