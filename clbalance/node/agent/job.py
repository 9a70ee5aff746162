"""A claimed job as its agent sees it."""

from clbalance.node.agent.checkpoint import CheckpointFile
from clbalance.node.agent.follower import Follower, Wanted
from clbalance.node.agent.limits import ADMIT_WITHIN_S
from clbalance.node.agent.spawn import Link
from clbalance.node.agent.words import RefusedError

MYPY = False
if MYPY:
    from typing import Any


class Job:
    """A job of this session: claimed here, or one that another agent started.

    `link` while it has a supervisor that was forked here; `ended` once it has an end, `follower` while it is followed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: "dict[str, int]" = {}
        self.wanted: "Wanted | None" = None
        self.asked = False  # for admission
        self.is_slot = False
        self.admitted = False
        self.launched = False
        self.started_at: "float | None" = None
        self.link: "Link | None" = None
        self.follower: "Follower | None" = None
        self.checkpoint: "CheckpointFile | None" = None  # while it is awaited
        self.ended: "dict[str, Any] | None" = None

    def stillborn(self) -> RefusedError:
        """Why its supervisor is gone before the start. One that hangs at admission is ended by the kernel's clock."""
        if self.asked and not self.admitted:
            return RefusedError("lock", "its supervisor died at admission, for which it has %g s" % ADMIT_WITHIN_S)
        return RefusedError("resources", "its supervisor died before it could start")

    def hang_up(self) -> None:
        """Let go of the supervisor and the files; one that has not started ends by it."""
        if self.link is not None:
            self.link.close()
            self.link = None
        if self.follower is not None:
            self.follower.close()
            self.follower = None
