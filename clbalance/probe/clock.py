"""A node's clock: a question of one line to an open session, and the answer as an offset."""

from datetime import datetime
from typing import Final

from clbalance.model import Unknown
from clbalance.probe.bounded import whole
from clbalance.probe.frame import Section

CLOCK_QUESTION: Final = """\
echo "@NONCE@ begin"
echo "@NONCE@ + clock"
date +%s
echo "@NONCE@ - clock 0"
echo "@NONCE@ end"
"""
"""Sent as a script is: `probe_request` puts the nonce in."""

_MOST = 2**40


def parse_clock(section: Section | None, *, asked_at: datetime, heard_at: datetime) -> float | Unknown:
    """By how many seconds the node is ahead of us at least; 0.0 where its answer fits between asking and hearing.

    The node cut its answer to whole seconds, so the truth lies within one second from it.
    """
    seconds = None if section is None else whole(section.text.strip("\n"), most=_MOST)
    if seconds is None:
        return Unknown(why="`date` did not tell the time")
    ahead = seconds - heard_at.timestamp()
    behind = seconds + 1 - asked_at.timestamp()
    return ahead if ahead > 0 else min(behind, 0.0)
