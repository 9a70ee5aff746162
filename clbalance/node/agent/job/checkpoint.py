"""Watches a job's checkpoint file."""

import os
import stat

from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.job.program import Spec, login_entry
from clbalance.node.agent.protocol import CHECKPOINT_LOOK_S, CHECKPOINT_STILL_S, READ
from clbalance.node.stdlib import loads

MYPY = False
if MYPY:
    from typing import Any


class CheckpointFile:
    """Tells whether a checkpoint file was written since the signal, by stat(2) only.

    It was written if it differs from before and has not changed for a second. Links are followed, because a program
    may write a new file and point `latest` at it. That is safe: we have the rights of the job's own user.
    """

    def __init__(self, path: bytes, now: float) -> None:
        self.path = path
        self.before = self.look()
        self.seen = self.before
        self.since = now
        self.due = now + CHECKPOINT_LOOK_S

    def look(self) -> "tuple[int, ...] | None":
        """Device, inode, size and mtime (ns) of the file; None if it is not a regular file."""
        try:
            facts = os.stat(self.path)
        except OSError:
            return None
        if not stat.S_ISREG(facts.st_mode):
            return None
        return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns

    def is_written(self, now: float) -> bool:
        """Look at the file, and set the time of the next look."""
        self.due = now + CHECKPOINT_LOOK_S
        seen = self.look()
        if seen != self.seen:
            self.seen, self.since = seen, now
        return seen is not None and seen != self.before and now - self.since >= CHECKPOINT_STILL_S


def path_in_workdir(jobs: JobsFolder, name: str, file: bytes) -> bytes:
    """The absolute path of a file that a job names, from the folder that its supervisor chose (`enter_folder`)."""
    if file.startswith(b"/"):
        return file
    folder = jobs.open(name)
    try:
        with open(os.open("spec", READ, dir_fd=folder), "rb") as kept:
            raw: "dict[str, Any]" = loads(kept.read().decode("ascii"))
    finally:
        os.close(folder)
    chdir = Spec(raw).chdir
    works_in = chdir if chdir is not None and os.path.isdir(chdir) else login_entry()[0]
    return os.path.join(works_in or b"/", file)
