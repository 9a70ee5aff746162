"""`/proc/meminfo`: `MemAvailable:   24355472 kB`, where kB means KiB."""

from clbalance.model import Memory, Unknown
from clbalance.probe.bounded import whole

_MOST_KIB = 2**50


def parse_meminfo(text: str) -> Memory | Unknown:
    """Memory and swap. A kernel older than 3.14 does not tell what is available: then it is unknown."""
    kib: dict[str, int] = {}
    for line in text.split("\n"):
        name, _, rest = line.partition(":")
        number = whole(rest.removesuffix(" kB"), most=_MOST_KIB)
        if number is not None:
            kib.setdefault(name, number)
    needed = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
    missing = [name for name in needed if name not in kib]
    if missing:
        return Unknown(why=f"no {missing[0]} in /proc/meminfo" if text else "no /proc/meminfo")
    total, available, swap_total, swap_free = (kib[name] * 1024 for name in needed)
    if total == 0 or available > total or swap_free > swap_total:
        return Unknown(why="/proc/meminfo contradicts itself")
    return Memory(
        total_bytes=total,
        available_bytes=available,
        swap_total_bytes=swap_total,
        swap_free_bytes=swap_free,
    )
