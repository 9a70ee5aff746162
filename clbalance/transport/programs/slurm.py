"""Asks Slurm for its nodes, on this host, while the nodes themselves are asked for their load."""

import threading
import time
from collections.abc import Callable, Mapping
from functools import cache

from clbalance.model import NodeName
from clbalance.model.slurm import SlurmNode
from clbalance.probe.slurm.nodes import COMMAND, slurm_nodes
from clbalance.transport.programs.upcall import UpcallLimitError, run_upcall

_WITHIN_S = 3.0
_GOOD_FOR_S = 1.0
"""One sweep asks once; the next sweep of a long call asks anew."""
_AGAIN_AFTER_S = 30.0
"""Sweeps wait for the answer, so one that does not come must not hold up each of them."""
_MOST_COMPLAINT = 200


class Scontrol:
    """Calls of `scontrol`. Sweeps of several threads may share one."""

    def __init__(
        self, command: str = COMMAND, within_s: float = _WITHIN_S, again_after_s: float = _AGAIN_AFTER_S
    ) -> None:
        """`again_after_s`: how long Slurm is left alone once it has failed."""
        self._command = command
        self._within_s = within_s
        self._again_after_s = again_after_s
        self._lock = threading.Lock()
        self._last: _Asking | None = None

    def ask(self) -> "_Asking":
        """Begin to ask, unless that was done a moment ago."""
        with self._lock:
            last = self._last
            if last is None or (
                not last.is_alive() and last.age_s >= (self._again_after_s if last.failure else _GOOD_FOR_S)
            ):
                last = self._last = _Asking(self._command, self._within_s)
                last.start()
            return last


@cache
def scontrol_of_process() -> Scontrol:
    """The one for all that this process does: each command in `shell`, say, knows that Slurm did not answer another."""
    return Scontrol()


class ScontrolNodes:
    """The nodes as `scontrol` prints them. If it fails, `complain` is told once why, and nothing is known of any.

    Sweeps of several threads may share one.
    """

    def __init__(self, complain: Callable[[str], None], scontrol: Scontrol) -> None:
        self._complain = complain
        self._scontrol = scontrol
        self._lock = threading.Lock()
        self._asking: _Asking | None = None
        self._told = ""

    def ask(self) -> None:
        """Begin to ask, unless that was done a moment ago."""
        self._asking = self._scontrol.ask()

    def nodes(self) -> Mapping[NodeName, SlurmNode]:
        """The nodes by name, as they were when Slurm was last asked; its answer is waited for."""
        asking = self._asking or self._scontrol.ask()
        asking.join()
        with self._lock:
            if asking.failure and asking.failure != self._told:
                self._complain(f"Slurm does not tell the state of its nodes: {asking.failure}")
            self._told = asking.failure
        return asking.found


class _Asking(threading.Thread):
    """One call of `scontrol`."""

    def __init__(self, command: str, within_s: float) -> None:
        super().__init__(name="scontrol", daemon=True)
        self._command = command
        self._within_s = within_s
        self._began_at = time.monotonic()
        self.found: Mapping[NodeName, SlurmNode] = {}
        self.failure = ""
        """Why nothing was found; empty: it is not known to have failed."""

    @property
    def age_s(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self._began_at

    def run(self) -> None:
        try:
            said = run_upcall(self._command, "/", self._within_s)
        except (OSError, UpcallLimitError) as error:
            self.failure = f"`{self._command}` {error}"
            return
        if said.rc == 0:
            self.found = {one.node: one for one in slurm_nodes(said.stdout)}
        else:
            complaint = (said.stderr or said.stdout).strip()[:_MOST_COMPLAINT] or f"exit code {said.rc}"
            self.failure = f"`{self._command}`: {complaint}"
