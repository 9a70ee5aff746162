r"""Whom the probe ran as: `Uid:\t1000\t1000\t1000\t1000` of `/proc/self/status`, the second is the effective one."""

from clbalance.model import Unknown
from clbalance.probe.bounded import whole

_MOST_UID = 2**32


def parse_uid(text: str) -> int | Unknown:
    """The number by which this node knows us."""
    words = text.split()
    uid = whole(words[2], most=_MOST_UID) if len(words) > 2 and words[0] == "Uid:" else None
    return (
        uid if uid is not None else Unknown(why="/proc/self/status does not parse" if text else "no /proc/self/status")
    )
