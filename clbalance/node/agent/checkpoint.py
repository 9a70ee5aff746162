"""Whether a job that was told to checkpoint has written its file anew."""

import json
import os
import stat

from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.limits import CHECKPOINT_LOOK_S, CHECKPOINT_STILL_S, READ
from clbalance.node.agent.program import login_entry
from clbalance.node.agent.spec import Spec

MYPY = False
if MYPY:
    from typing import Any


class CheckpointFile:
    """A file as it was before the signal, and what has become of it. Only looked at, never opened.

    It is written when it is another one than before and has not changed for a second. A link is followed: what
    `latest` points to may be the news. This user could look at whatever it leads to himself.
    """

    def __init__(self, path: bytes, now: float) -> None:
        self.path = path
        self.before = self.look()
        self.seen = self.before
        self.since = now
        self.due = now + CHECKPOINT_LOOK_S

    def look(self) -> "tuple[int, ...] | None":
        """What tells one content from another; None where there is no regular file."""
        try:
            facts = os.stat(self.path)
        except OSError:
            return None
        if not stat.S_ISREG(facts.st_mode):
            return None
        return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns

    def is_written(self, now: float) -> bool:
        """Looks again, and sets when to do so next."""
        self.due = now + CHECKPOINT_LOOK_S
        seen = self.look()
        if seen != self.seen:
            self.seen, self.since = seen, now
        return seen is not None and seen != self.before and now - self.since >= CHECKPOINT_STILL_S


def path_where_it_works(jobs: JobsFolder, name: str, file: bytes) -> bytes:
    """Of a file that a job names: as its supervisor has found the folder (`enter_folder`)."""
    if file.startswith(b"/"):
        return file
    folder = jobs.open(name)
    try:
        with open(os.open("spec", READ, dir_fd=folder), "rb") as kept:
            raw: "dict[str, Any]" = json.loads(kept.read().decode("ascii"))
    finally:
        os.close(folder)
    chdir = Spec(raw).chdir
    works_in = chdir if chdir is not None and os.path.isdir(chdir) else login_entry()[0]
    return os.path.join(works_in or b"/", file)
