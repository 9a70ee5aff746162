"""Names of users as `getent passwd UID…` prints them: `alice:x:1001:1001:Alice:/home/alice:/bin/sh`."""

from collections.abc import Collection

from clbalance.probe.frame import Section, whole

_MOST_UID = 2**32
_MOST_CHARS = 40


def parse_user_names(section: Section, asked: Collection[int]) -> dict[int, str]:
    """The names of those of these uids that have one; what the node tells of others does not count."""
    names = {}
    for line in section.text.split("\n"):
        name, _, uid_text, *_ = [*line.split(":", 3), "", ""]
        uid = whole(uid_text, most=_MOST_UID)
        if uid is not None and uid in asked and 0 < len(name) <= _MOST_CHARS and name.isprintable() and " " not in name:
            names[uid] = name
    return names
