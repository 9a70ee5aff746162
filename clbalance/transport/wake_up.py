"""A way to wake ClusterShell's loop from another thread, with nothing that a signal could leave locked."""

import contextlib
import os

from ClusterShell.Worker.EngineClient import EnginePort


class WakeUp(EnginePort):  # type: ignore[misc]  # ClusterShell ships no types
    """Makes the loop call its handler's `ev_wake`; unlike a port of ClusterShell's own it carries nothing."""

    def wake(self) -> None:
        """From any thread, also when the engine is gone."""
        with contextlib.suppress(OSError, KeyError):  # a full pipe wakes as well
            os.write(self.streams["out"].fd, b"W")

    def _handle_read(self, sname: str) -> None:
        self._read(sname, 4096)
        self.eh.ev_wake()
