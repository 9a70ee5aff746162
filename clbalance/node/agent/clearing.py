"""Take away what is in a folder, within a time, and no further than its own file system."""

import errno
import os
import stat
import time

from clbalance.node.agent.limits import FOLDER, REAP_DEPTH


class Clearing:
    """One folder's. Without `apply` nothing is taken away, and all else is the same.

    `size` are the bytes of the files so far; `whole` tells that there was time for all of them.
    """

    def __init__(self, until: float, apply: bool) -> None:
        self.until = until
        self.apply = apply
        self.count = 0
        self.size = 0
        self.whole = True

    def clear(self, folder: int, keep: "frozenset[str]" = frozenset(), depth: int = REAP_DEPTH) -> None:
        """All but `keep`. At least one file goes, so that who comes again and again is done some day."""
        if depth == 0:
            raise OSError(errno.ENAMETOOLONG, "folders within folders")
        device = os.fstat(folder).st_dev
        # A folder without a fate would look like a claim that may still be started: that goes last.
        for name in sorted(set(os.listdir(folder)) - keep, key=lambda name: (name == "fate", name)):
            if self.count and time.monotonic() > self.until:
                self.whole = False
                return
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue  # another agent removes it too
            if facts.st_dev != device:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))  # mounted there by the job
            if stat.S_ISDIR(facts.st_mode):
                self.clear_inner(folder, name, depth - 1)
            else:
                self.size += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
                if self.apply:
                    os.unlink(name, dir_fd=folder)
            self.count += 1

    def clear_inner(self, folder: int, name: str, depth: int) -> None:
        inner = os.open(name, FOLDER, dir_fd=folder)
        try:
            self.clear(inner, depth=depth)
        finally:
            os.close(inner)
        if self.apply and self.whole:
            os.rmdir(name, dir_fd=folder)
