"""Which file system a path lies on, as far as it matters: one whose locks reach over a network, or another."""

import re

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "smbfs", "9p", "afs", "coda"),
        *("glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.beegfs", "fuse.juicefs"),
        *("fuse.mfs", "fuse.moosefs", "fuse.s3fs", "fuse.rclone", "fuse.gvfsd-fuse", "fuse.davfs2"),
    }
)


def network_file_system(path: str, mountinfo: str) -> str | None:
    """The type of the network file system that the absolute, resolved `path` is on, or None where it is local.

    `mountinfo` is the text of `/proc/self/mountinfo` (proc(5)); what is mounted last at a point hides the rest.
    """
    longest, kind = "", None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, types = before.split(" "), after.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _unescaped(fields[4])
        if len(point) >= len(longest) and _is_under(path, point):
            longest, kind = point, types[0]
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def _is_under(path: str, point: str) -> bool:
    return point in {"/", path} or path.startswith(point + "/")


def _unescaped(field: str) -> str:
    # Space, tab, newline and backslash are told as three octal digits.
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
