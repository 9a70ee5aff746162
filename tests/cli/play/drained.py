"""Which nodes of a lab are drained at one moment, by their disks."""

from clbalance.lab.cluster import Lab


def drained_at_once(lab: Lab) -> frozenset[str]:
    """Nodes whose committed marks were all there at one moment.

    Files of several nodes cannot be read at once: while one is read, another one may be removed. So all are read
    twice. A mark that is the same file both times was there in between.
    """
    before, after = _marks(lab), _marks(lab)
    return frozenset(node for node, _, _ in before & after)


def _marks(lab: Lab) -> set[tuple[str, int, int]]:
    found = set()
    for node in lab.nodes:
        for mark in node.folder.var.glob("clbalance-*/drain"):
            try:
                status = mark.stat()
            except FileNotFoundError:  # removed just now
                continue
            found.add((node.name, status.st_ino, status.st_ctime_ns))
    return found
