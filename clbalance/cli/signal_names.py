"""Signals as people type them."""

import re
import signal

from clbalance.errors import UsageError


def parse_signal(text: str) -> int:
    """`USR1`, `SIGUSR1`, `usr1` or `10`."""
    name = text.upper().removeprefix("SIG")
    if re.fullmatch(r"[0-9]{1,2}", text) and 0 < int(text) < signal.NSIG:
        return int(text)
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        raise UsageError(f"there is no signal {text!r}", hint="such as TERM, USR1 or 10") from None
