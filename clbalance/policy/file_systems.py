"""File systems on which no job may be kept. Pure."""

# As in `store/mounts.py`, which asks the same of this host; a test holds the two together.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "smbfs", "9p", "afs", "coda"),
        *("glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.beegfs", "fuse.juicefs"),
        *("fuse.mfs", "fuse.moosefs", "fuse.s3fs", "fuse.rclone", "fuse.gvfsd-fuse", "fuse.davfs2"),
    }
)
"""Types whose locks reach over a network, or do not reach at all."""
