"""Which boot this is, and how old: `/proc/sys/kernel/random/boot_id`, `/proc/uptime`."""

import re

from clbalance.model import Unknown
from clbalance.probe.bounded import decimal

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_S = 100 * 365 * 86_400.0


def parse_boot_id(text: str) -> str | Unknown:
    """The kernel's name of this boot."""
    if not text:
        return Unknown(why="no boot_id")
    return text if _UUID.fullmatch(text) else Unknown(why="boot_id does not parse")


def parse_uptime(text: str) -> float | Unknown:
    """Seconds since boot: `2524.95 4961.85`, of which the second is idle time."""
    words = text.split()
    uptime = decimal(words[0], most=_MOST_S) if words else None
    return uptime if uptime is not None else Unknown(why="/proc/uptime does not parse" if text else "no /proc/uptime")
