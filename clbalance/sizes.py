"""Sizes as people type them: `16G`, `512M`, `1.5T`; powers of 1024, as in `free -h`."""

import re

from clbalance.errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_FACTOR = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_MAX_BYTES = 2**50  # /proc/meminfo counts kilobytes; a petabyte is beyond any node


def parse_size(text: str) -> int:
    """`text` in bytes, or `UsageError`."""
    found = _SIZE.fullmatch(text.strip())
    size_bytes = int(float(found[1]) * _FACTOR[found[2].upper()]) if found else -1
    if not 0 <= size_bytes <= _MAX_BYTES:
        raise UsageError(f"{text!r} is not a size", hint="like `16G`, `512M` or `1.5T`")
    return size_bytes


def told_size(count_bytes: float) -> str:
    """As people read it in a sentence: `2 GiB`, `512 MiB`."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count_bytes >= factor:
            return f"{count_bytes / factor:.3g} {unit}"
    return f"{count_bytes:.0f} B"
