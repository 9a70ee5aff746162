"""Carry out `run --pty`: connect our terminal to the job's."""

import contextlib
import subprocess

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.output.shown_run import ShownRun
from clbalance.cli.run.submission import Submission
from clbalance.engine.agent.job_messages import label_of, relay_line
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Outcome
from clbalance.node import relay_source

_LAST_OUTPUT_S = 10.0  # for the last output of the program to arrive over a slow line
_GONE_WITHIN_S = 2.0  # for ssh to end after SIGTERM


class RunOnTerminal(ShownRun):
    """Connects our terminal to the job's by an ssh of its own when the job has started, until the job has ended."""

    def __init__(self, console: Console, submitted: Submission, cluster: ClusterContext) -> None:
        super().__init__(console, submitted, cluster.candidates)
        self._transport = cluster.transport
        self._label = ""
        self._login: subprocess.Popen[bytes] | None = None

    def placed(self, job: JobSpec, plan: Plan) -> None:
        super().placed(job, plan)
        self._label = label_of(job)

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        if self._login is None:
            self._login = subprocess.Popen(self._transport.terminal(node, relay_line(relay_source(), self._label)))

    def ended(self, outcome: Outcome) -> None:
        self._leave(_LAST_OUTPUT_S)
        super().ended(outcome)

    def close(self) -> None:
        self._leave(0.0)
        super().close()

    def _leave(self, patience_s: float) -> None:
        """End the ssh. It ends by itself after the job; after SIGTERM, too, it restores the terminal."""
        login = self._login
        if login is None:
            return
        for end, wait_s in ((None, patience_s), (login.terminate, _GONE_WITHIN_S), (login.kill, None)):
            if end is not None:
                end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                login.wait(wait_s)
                self._login = None
                return
