"""Asks Slurm for its nodes, on this host, while the nodes themselves are asked for their load."""

import threading
import time
from collections.abc import Callable, Mapping

from clbalance.model import NodeName
from clbalance.model.slurm import SlurmNode
from clbalance.probe.slurm_nodes import COMMAND, slurm_nodes
from clbalance.transport.programs.upcall import UpcallLimitError, run_upcall

_WITHIN_S = 3.0
_GOOD_FOR_S = 1.0
"""One sweep asks once; the next sweep of a long call asks anew."""


class ScontrolNodes:
    """The nodes as `scontrol` prints them. If it fails, `complain` is told once why, and nothing is known of any."""

    def __init__(self, complain: Callable[[str], None], command: str = COMMAND, within_s: float = _WITHIN_S) -> None:
        self._complain = complain
        self._command = command
        self._within_s = within_s
        self._asked_at = float("-inf")
        self._asking: threading.Thread | None = None
        self._found: Mapping[NodeName, SlurmNode] = {}
        self._failure = ""
        self._told = ""

    def ask(self) -> None:
        """Begin to ask, unless that was done a moment ago."""
        if self._asking is None and time.monotonic() - self._asked_at >= _GOOD_FOR_S:
            self._asked_at = time.monotonic()
            self._asking = threading.Thread(target=self._run, name="scontrol", daemon=True)
            self._asking.start()

    def nodes(self) -> Mapping[NodeName, SlurmNode]:
        """The nodes by name, as they were when Slurm was last asked; its answer is waited for."""
        if self._asked_at < 0:
            self.ask()
        if self._asking is not None:
            self._asking.join()
            self._asking = None
            if self._failure and self._failure != self._told:
                self._complain(f"Slurm does not tell the state of its nodes: {self._failure}")
            self._told = self._failure
        return self._found

    def _run(self) -> None:
        found: Mapping[NodeName, SlurmNode] = {}
        failure = ""
        try:
            said = run_upcall(self._command, "/", self._within_s)
        except (OSError, UpcallLimitError) as error:
            failure = f"`{self._command}` {error}"
        else:
            found = {one.node: one for one in slurm_nodes(said.stdout)} if said.rc == 0 else {}
            if said.rc != 0:
                complaint = (said.stderr or said.stdout).strip() or f"exit code {said.rc}"
                failure = f"`{self._command}`: {complaint}"
        self._found, self._failure = found, failure
