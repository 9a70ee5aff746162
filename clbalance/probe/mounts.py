r"""`/proc/self/mountinfo` (proc(5)): which mount a path lies on.

    36 35 98:0 /root/within /mnt/point rw,noatime master:1 - ext4 /dev/vda rw

The fourth field is the mount's root within its file system, the fifth where it is mounted.
"""

import re

from clbalance.checkup import Mount

_POINT = 4
_MOST_FIELD = 4_096
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OCTAL = re.compile(r"\\([0-7]{3})")


def mount_of(path: str, lines: list[str]) -> Mount | None:
    """The mount that the absolute, resolved `path` is on; of two at one point, the later hides the earlier."""
    found: Mount | None = None
    for line in lines:
        mount = parse_mount(line)
        if mount is None or not _is_under(path, mount.point):
            continue
        if found is None or len(mount.point) >= len(found.point):
            found = mount
    return found


def parse_mount(line: str) -> Mount | None:
    """One line, or None where it is none."""
    before, separator, after = line.partition(" - ")
    fields, type_name = before.split(" "), after.partition(" ")[0]
    if not separator or len(fields) <= _POINT or not _TYPE.fullmatch(type_name):
        return None
    root, point = (_unescaped(field[:_MOST_FIELD]) for field in fields[_POINT - 1 : _POINT + 1])
    return Mount(root=root, point=point, type=type_name)


def _is_under(path: str, point: str) -> bool:
    return point in {"/", path} or path.startswith(point + "/")


def _unescaped(field: str) -> str:
    # Space, tab, newline and backslash are told as three octal digits.
    return _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), field)
