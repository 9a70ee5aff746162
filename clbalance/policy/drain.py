"""Which drain mark keeps us off a node, and how it is told."""

from datetime import datetime

from clbalance.model import DrainMark, Reading, Unknown


def binding_drain(reading: Reading, now: datetime) -> DrainMark | None:
    """The mark that binds us now, before all one that binds everybody; None: we may place work there.

    Marks that could not be read are no answer here: then leases are unknown too, and the node is unfit for that.
    """
    marks = () if isinstance(reading.drains, Unknown) else reading.drains
    binding = [mark for mark in marks if _binds_us(mark, reading.uid) and not _is_over(mark, now)]
    return min(binding, key=lambda mark: (not mark.binds_all, mark.uid), default=None)


def drain_reason(mark: DrainMark) -> str:
    """Such as "disk (by alice)". Only root's file is believed about a name; other owners are told by number."""
    if mark.uid == 0:
        return f"{mark.reason} (by {mark.by or 'root'})"
    return f"{mark.reason} (by {mark.by}, uid {mark.uid})" if mark.by else f"{mark.reason} (by uid {mark.uid})"


def _binds_us(mark: DrainMark, uid: int | Unknown) -> bool:
    # Where we do not know who we are, the mark may be ours.
    return mark.binds_all or isinstance(uid, Unknown) or mark.uid == uid


def _is_over(mark: DrainMark, now: datetime) -> bool:
    return mark.until is not None and mark.until <= now
