"""`run --pty`: a job whose program has our terminal."""

import contextlib
import subprocess

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.run.report import ShownRun
from clbalance.cli.run.submission import Submission
from clbalance.engine.agent.job_messages import label_of, relay_line
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Outcome
from clbalance.node import relay_source

_LAST_WORDS_S = 10.0  # for what the program printed last to come over a slow line
_GONE_WITHIN_S = 2.0  # for ssh, told to go


class RunOnTerminal(ShownRun):
    """Joins our terminal to the job's when it runs, by a login of its own, and leaves it when the job has ended."""

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
        self._leave(_LAST_WORDS_S)
        super().ended(outcome)

    def close(self) -> None:
        self._leave(0.0)
        super().close()

    def _leave(self, patience_s: float) -> None:
        """It goes by itself when its job has; told to go, ssh leaves the terminal as it was."""
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
