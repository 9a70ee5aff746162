"""`MaxSessions` and `MaxStartups`: as `sshd -T` tells them, else as far as sshd_config could be read."""

import re

from clbalance.checkup import SshdLimits
from clbalance.probe.bounded import whole
from clbalance.probe.frame import Section

_MOST = 2**31
_LINE = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*[ \t=][ \t]*\"?([0-9]{1,10})(?::[0-9:]*)?\"?[ \t]*")


def parse_sshd_limits(told: Section | None, configured: Section | None) -> SshdLimits:
    """Of each keyword sshd takes the first value only."""
    found: dict[str, int] = {}
    for section in (told, configured):
        for line in () if section is None else section.text.split("\n"):
            match = _LINE.fullmatch(line) if len(line) <= 200 else None
            number = None if match is None else whole(match[2], most=_MOST)
            if match is not None and number is not None:
                found.setdefault(match[1].casefold(), number)
    return SshdLimits(max_sessions=found.get("maxsessions"), max_startups=found.get("maxstartups"))
