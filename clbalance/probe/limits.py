"""The limits that root has set on a node for users and groups, and who our user is there.

user, then our name · groups, then our groups by name, then by number · text, then the lines of the file
"""

from clbalance.model import NodeLimits, Unknown
from clbalance.probe.frame import Section

_NONE = "3"


def parse_limits(section: Section | None, uid: int | Unknown) -> NodeLimits | Unknown | None:
    """The limits; None: there is no such file. The text is read where it is used."""
    if section is None:
        return None
    if section.status == _NONE:
        return Unknown(reason="not a regular file")
    head, text_follows, text = section.text.partition("\ntext\n")
    user, groups_follow, groups = head.removeprefix("user\n").partition("\ngroups\n")
    if section.status is None or not text_follows or not groups_follow or isinstance(uid, Unknown):
        return Unknown(reason="timed out" if section.status is None else "not told")
    return NodeLimits(text=f"{text}\n", users=frozenset({user, str(uid)}), groups=frozenset(groups.split()))
