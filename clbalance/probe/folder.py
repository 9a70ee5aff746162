"""A folder in which jobs may be kept, as `checkup.sh` looks at it.

    folder PATH, link, writable         the last two only where it is so
    entry MODE UID PATH                 of what the path leads to; mode in hexadecimal
    home MODE UID PATH                  of each name that is meant for our own folder, where it exists
    real PATH                           without links
    mount …                             lines of mountinfo that may matter
    space                               and then what `df -kP` prints

Paths of the node's end up in commands that people may type, so only plain ones are taken.
"""

import re

from clbalance.checkup import Entry, Folder, Mount
from clbalance.model import Unknown
from clbalance.probe.bounded import whole, words_of
from clbalance.probe.frame import Section
from clbalance.probe.mounts import mount_of
from clbalance.probe.tmp import parse_tmp

_MOST_UID = 2**32
_MOST_PATH = 4_096
_MOST_HOMES = 10
_ENTRY = re.compile(r"([0-9a-f]{1,8}) ([0-9]{1,10}) (/.*)")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/+@=,-]*")
_NONE = "3"


def parse_folder(section: Section | None) -> Folder | Unknown | None:
    """What is known of it; None where it was not asked for or there is none."""
    if section is None or section.status == _NONE:
        return None
    head, spoke, listing = section.text.partition("\nspace\n")
    lines = head.split("\n")
    path = _only(lines, "folder ")
    entry = _entry(_only(lines, "entry "))
    if path is None or entry is None:
        return Unknown(why="timed out" if section.status is None else _failed(section.status))
    if not _PLAIN_PATH.fullmatch(path):
        return Unknown(why="its path has odd characters in it")
    real = _only(lines, "real ") or path
    homes = (_entry(line.removeprefix("home ")) for line in lines if line.startswith("home "))
    # The part that hung may be any behind the one that was told last.
    space = Section(text=f"{path}\n{listing}", status=section.status) if spoke else Section(text="", status=None)
    return Folder(
        path=path,
        real=real,
        entry=entry,
        is_link="link" in lines,
        writable="writable" in lines,
        homes=tuple(home for home in homes if home is not None)[:_MOST_HOMES],
        mount=_mount(real, lines),
        space=parse_tmp(space),
    )


def _failed(status: str) -> str:
    match status:
        case "4":
            return "its name is not an absolute path"
        case "127":
            return "no `stat` on the node"
        case _:
            return f"looking at it failed with {status}"


def _only(lines: list[str], prefix: str) -> str | None:
    """The rest of the first line that begins so, printable and bounded."""
    for line in lines:
        if line.startswith(prefix):
            return words_of(line.removeprefix(prefix), most=_MOST_PATH) or None
    return None


def _entry(text: str | None) -> Entry | None:
    match = _ENTRY.fullmatch(text or "")
    if match is None:
        return None
    uid = whole(match[2], most=_MOST_UID)
    return None if uid is None else Entry(path=words_of(match[3], most=_MOST_PATH), uid=uid, mode=int(match[1], 16))


def _mount(real: str, lines: list[str]) -> Mount | Unknown:
    found = mount_of(real, [line.removeprefix("mount ") for line in lines if line.startswith("mount ")])
    return found or Unknown(why="no mount of it in /proc/self/mountinfo")
