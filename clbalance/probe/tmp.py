"""`df -kP` of the temporary folder, behind a line with the folder's own path."""

import re

from clbalance.model import TmpSpace, Unknown
from clbalance.probe.bounded import whole, words_of
from clbalance.probe.frame import Section

_MOST_KIB = 2**60
_USED_PCT = re.compile(r"[0-9]{1,4}%|-")


def parse_tmp(section: Section) -> TmpSpace | Unknown:
    """Size and what an ordinary user may still write."""
    if section.status is None:
        return Unknown(why="timed out")
    if section.status != "0":
        return Unknown(why=f"`df` failed with {section.status}")
    folder, _, listing = section.text.strip("\n").partition("\n")
    sizes = _sizes(listing.rpartition("\n")[2].split())
    if sizes is None or not folder.startswith("/"):
        return Unknown(why="the output of `df` does not parse")
    total, free = sizes
    # Below zero where the reserve of root is in use.
    total_kib = whole(total, most=_MOST_KIB)
    free_kib = 0 if free.startswith("-") else whole(free, most=_MOST_KIB)
    if total_kib is None or free_kib is None or free_kib > total_kib:
        return Unknown(why="the output of `df` is out of range")
    return TmpSpace(path=words_of(folder, most=4_096), total_bytes=total_kib * 1024, free_bytes=free_kib * 1024)


def _sizes(words: list[str]) -> tuple[str, str] | None:
    """Total and free out of `/dev/vda 264212084 22863544 83527368 22% /`; either name may have blanks in it."""
    for at in range(4, len(words) - 1):
        if _USED_PCT.fullmatch(words[at]) and words[at + 1].startswith("/"):
            return words[at - 3], words[at - 1]
    return None
