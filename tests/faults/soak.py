"""How much is tried: little by default, more with CLBALANCE_SOAK=N (50 is the full measure)."""

import os

FULL = 50


def trials(few: int, full: int) -> int:
    """`few`, or `full` scaled by N of FULL."""
    asked = int(os.environ.get("CLBALANCE_SOAK", "0"))
    return few if asked <= 0 else max(few, full * asked // FULL)
