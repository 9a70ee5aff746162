"""Leases and drain files: `mark INODE UID PATH` of each, then `PATH:line` of what they say.

Anyone may write anything into such a file. The uid and the inode are the kernel's word, the rest is the owner's.
"""

import re
from dataclasses import replace

from clbalance.model import Mark, MarkKind, Unknown
from clbalance.probe.bounded import whole
from clbalance.probe.frame import Section

_MOST_TEXT = 1_024
_MOST_UID = 2**32
_MOST_INODE = 2**64
_NAME = re.compile(r"drain|lease-[A-Za-z0-9._-]{0,250}")


def parse_marks(section: Section) -> tuple[Mark, ...] | Unknown:
    """All marks of the node, or unknown: a lease that is not seen would make the node look free.

    The text of a file longer than 1 KiB, or not readable for us, is empty.
    """
    match section.status:
        case "0":
            return _parse(section.text.split("\n"))
        case "many":
            return Unknown(why="more than 256 leases and drain marks")
        case None:
            return Unknown(why="timed out")
        case status:
            return Unknown(why=f"reading the node folder failed with {status}")


def _parse(lines: list[str]) -> tuple[Mark, ...] | Unknown:
    listed: dict[str, Mark] = {}
    texts: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("mark "):
            _, inode, uid, path, *_ = [*line.split(" ", 3), "", "", ""]
            mark = _mark(path, inode, uid)
            if isinstance(mark, Unknown):
                return mark
            listed[path] = mark
            continue
        # The probe sends no path with a colon in it.
        path, _, rest = line.partition(":")
        if path in listed:
            texts.setdefault(path, []).append(rest)
    return tuple(replace(mark, text=_text(texts.get(path, []))) for path, mark in listed.items())


def _mark(path: str, inode: str, uid: str) -> Mark | Unknown:
    name = path.rpartition("/")[2]
    kind = MarkKind.DRAIN if name == "drain" else MarkKind.LEASE
    inode_number = whole(inode, most=_MOST_INODE)
    uid_number = whole(uid, most=_MOST_UID)
    if inode_number is None or uid_number is None or not _NAME.fullmatch(name):
        return Unknown(why="the list of leases and drain marks does not parse")
    return Mark(kind=kind, name=name, uid=uid_number, inode=inode_number, text="")


def _text(lines: list[str]) -> str:
    return "\n".join(lines)[:_MOST_TEXT]
