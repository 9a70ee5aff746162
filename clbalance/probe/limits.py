"""The limits that root has set on a node for users and groups, and who our user is there.

    entry MODE UID PATH, of the file and each folder above it; mode in hexadecimal
    user, then our name · groups, then our groups by name, then by number · text, then the lines of the file

Whether the file may be trusted is decided by the node; what it will say is told here.
"""

import re

from clbalance.model import NodeLimits, Unknown
from clbalance.probe.frame import Section, words_of

_NONE = "3"
_ENTRY = re.compile(r"entry ([0-9a-f]{1,8}) ([0-9]{1,10}) (/.*)")
_OTHERS_WRITE = 0o022
_STICKY_FOLDER = 0o41000
_MOST_BYTES = 64 << 10  # as the agent


def parse_limits(section: Section | None, uid: int | Unknown) -> NodeLimits | Unknown | None:
    """The limits; None: there is no such file. The text is read where it is used."""
    if section is None:
        return None
    if section.status == _NONE:
        return Unknown(reason="no regular file, or reached by a link")
    entries, user_follows, head = section.text.partition("user\n")
    head, text_follows, text = head.partition("\ntext\n")
    user, groups_follow, groups = head.partition("\ngroups\n")
    if section.status is None or not (user_follows and text_follows and groups_follow) or isinstance(uid, Unknown):
        return Unknown(reason="timed out" if section.status is None else "not told")
    if flaw := next(filter(None, (_flaw(line, uid) for line in entries.split("\n"))), ""):
        return Unknown(reason=flaw)
    text += "\n"
    if len(text.encode()) > _MOST_BYTES:
        return Unknown(reason=f"the file is larger than {_MOST_BYTES >> 10} KiB")
    return NodeLimits(text=text, users=frozenset({user, str(uid)}), groups=frozenset(groups.split()))


def _flaw(line: str, uid: int) -> str:
    """Why the node will not trust the file. Our own is the lab's: the node does not trust it elsewhere."""
    entry = _ENTRY.fullmatch(line)
    if entry is None:
        return ""
    mode, owner, path = int(entry[1], 16), int(entry[2]), words_of(entry[3])
    if owner not in {0, uid}:
        return f"{path} belongs to uid {owner}, not to root"
    is_sticky = mode & _STICKY_FOLDER == _STICKY_FOLDER
    return f"others than root may write to {path}" if mode & _OTHERS_WRITE and not is_sticky else ""
