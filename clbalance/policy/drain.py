"""Which drain mark keeps us off a node, and how it is told."""

from datetime import datetime

from clbalance.model import DrainMark, Reading, Unknown


def binding_drain(reading: Reading, now: datetime) -> DrainMark | None:
    """The mark that binds us now, before all one that binds everybody; None: we may place work there.

    Marks that could not be read are no answer here: then leases are unknown too, and the node is unfit for that.
    """
    marks = () if isinstance(reading.drains, Unknown) else reading.drains
    binding = [mark for mark in marks if binds_us(mark, reading.uid) and not _is_over(mark, now)]
    return min(binding, key=lambda mark: (not mark.binds_all, mark.proposal is not None, mark.uid), default=None)


def drain_reason(mark: DrainMark, now: datetime) -> str:
    """Such as "disk (by alice)", "disk (by alice, until 18:00)" or "proposed: disk (by alice)".

    A proposal's end says nothing of how long the node is to be drained. Only root's file is believed about a name;
    other owners are told by number.
    """
    what = f"proposed: {mark.reason}" if mark.proposal else mark.reason
    until = f", until {told_end(mark.until, now)}" if mark.until and not mark.proposal else ""
    if mark.uid == 0:
        return f"{what} (by {mark.by or 'root'}{until})"
    return f"{what} (by {mark.by}, uid {mark.uid}{until})" if mark.by else f"{what} (by uid {mark.uid}{until})"


def told_end(end: datetime, now: datetime) -> str:
    """`18:00` of today, else with its date: by the clock on our wall, as `drain --until` reads it. Both are aware."""
    try:
        here = end.astimezone()
        return f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # in the last hours of the year 9999
        return f"{end:%Y-%m-%d}"


def binds_us(mark: DrainMark, uid: int | Unknown) -> bool:
    """Whether its owner may keep us off: root, an administrator, and we ourselves."""
    # Where we do not know who we are, the mark may be ours.
    return mark.binds_all or isinstance(uid, Unknown) or mark.uid == uid


def _is_over(mark: DrainMark, now: datetime) -> bool:
    return mark.until is not None and mark.until <= now
