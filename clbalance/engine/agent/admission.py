"""Request folders and leases on the nodes of a job, before anything is started there, and keep the leases."""

from collections.abc import Mapping
from typing import Any

from clbalance.engine.agent.copies import Copies, Copy, Phase
from clbalance.engine.agent.job_messages import lease_request
from clbalance.engine.agent.multiplexer import AgentChannel
from clbalance.engine.agent.protocol import Admitted, AgentError, AgentEvent, Claimed, Hello, Refused, SetLimit
from clbalance.engine.agent.sessions import PROTOCOL, Agents
from clbalance.model import Cause, Measured, NodeName, Request
from clbalance.model.job import JobSpec
from clbalance.model.request import HiddenGpus
from clbalance.policy.placement.gpu_choice import mps_limits, unread_gpus
from clbalance.ports import Clock, Closed, SweepListener

KEEP_EVERY_S = 10.0
"""A third of the time for which a node keeps a lease that is not started."""


_UNFIT_KINDS = frozenset({"storage", "node_dir"})
UNFIT_CAUSES = frozenset({Cause.PYTHON, Cause.STORAGE})
"""Refusals that every other job would get as well."""


class LeaseKeeper:
    """Keeps the leases of copies that wait for other copies of their job, however long those take."""

    def __init__(self, agents: Agents | AgentChannel, copies: Copies, clock: Clock) -> None:
        self._agents = agents
        self._copies = copies
        self._clock = clock
        self._at = clock.monotonic() + KEEP_EVERY_S

    def keep(self) -> None:
        """Ask the nodes of all copies that wait, now and then."""
        now = self._clock.monotonic()
        if now < self._at:
            return
        self._at = now + KEEP_EVERY_S
        for copy in self._copies:
            if copy.phase in (Phase.ADMITTED, Phase.READY):
                self._agents.ask(copy.node, "keep", job=self._copies.label)


class Admission:
    """Requests folders and leases for the copies of one claim, before anything is started."""

    def __init__(
        self,
        agents: Agents | AgentChannel,
        copies: Copies,
        *,
        request: Request,
        answers: Mapping[NodeName, Measured],
        job: JobSpec,
        hidden_gpus: HiddenGpus,
        for_tasks: bool = False,
        allocation_limits: Mapping[NodeName, float] | None = None,
    ) -> None:
        self._agents = agents
        self._copies = copies
        self._request = request
        self._answers = answers
        self._job = job
        self._hidden_gpus = hidden_gpus
        self._for_tasks = for_tasks
        self._allocation_limits = allocation_limits or {}
        self.refusals: dict[NodeName, str] = {}
        """The nodes that refused, and why."""
        self.crowded: dict[NodeName, float] = {}
        """Of those, the nodes that others filled first, with the CPUs allocated there by now."""
        self.set_limits: dict[SetLimit, None] = {}
        """Limits over node sets, as the nodes have told them; each once."""
        self.unfit: dict[NodeName, str] = {}
        """Of those, the nodes that could take no job at all, and why."""

    def admit(self, listener: SweepListener, clock: Clock) -> dict[NodeName, str]:
        """Ask all nodes, and return the refusals. If there is one, the other nodes are released."""
        leases = LeaseKeeper(self._agents, self._copies, clock)

        def is_decided() -> bool:
            leases.keep()
            listener.awaiting([copy.node for copy in self._copies if copy.phase < Phase.ADMITTED])
            return bool(self.refusals) or self.is_admitted

        self.call()
        listener.asked(len(self._copies))
        try:
            self._agents.listen(self.on_event, is_decided)
        finally:
            listener.done()
        if self.refusals:
            for copy in self._copies:
                self._agents.hang_up(copy.node)
        return self.refusals

    def call(self) -> None:
        """Ask all nodes."""
        for copy in self._copies:
            self._agents.call(copy.node)

    @property
    def is_admitted(self) -> bool:
        """Whether all nodes have granted their leases."""
        return self._copies.all_in(Phase.ADMITTED)

    def on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """News of one node."""
        if node not in self._copies:
            return
        copy = self._copies[node]
        match event:
            case Hello(protocol=protocol):
                self._claim(copy, protocol)
            case Claimed(boot_id=boot_id, incarnation=incarnation, folder=folder) if not copy.boot_id:
                copy.boot_id, copy.incarnation, copy.folder = boot_id, incarnation, folder
                self._agents.expect(node, "admit")
            case Admitted():
                self._admitted(copy, event)
            case Refused(promised_cpus=float(cpus), reason=reason):
                self.crowded[node], self.refusals[node] = cpus, reason
            case Refused(kind=kind, reason=reason) if kind in _UNFIT_KINDS:
                self.unfit[node] = self.refusals[node] = reason
            case (
                Refused(reason=reason) | AgentError(reason=reason)
            ):  # an error counts as a refusal: no other answer follows
                self.refusals[node] = reason
            case Closed(cause=cause, reason=reason):
                self.refusals[node] = cause.because(reason)
                if cause in UNFIT_CAUSES:
                    self.unfit[node] = self.refusals[node]
            case _:
                pass  # nothing else is asked for yet

    def _admitted(self, copy: Copy, event: Admitted) -> None:
        if event.over and self._for_tasks:
            first = event.over[0]
            self.refusals[copy.node] = f"{first.said}: slots of tasks are not counted over node sets ({first.where})"
            return
        self.set_limits.update(dict.fromkeys(event.over))
        copy.phase, copy.port = Phase.ADMITTED, event.port
        copy.env.update(mps_limits(self._answers[copy.node], event.gpus, self._request.gpu_share))
        self._agents.answered(copy.node)

    def _claim(self, copy: Copy, protocol: int) -> None:
        if protocol != PROTOCOL:
            self.refusals[copy.node] = f"the agent speaks protocol {protocol}, not {PROTOCOL}"
            return
        copy.phase = Phase.CLAIMING
        answer = self._answers[copy.node]
        lease = lease_request(self._request, answer, self._job, self._hidden_gpus)
        if unread := unread_gpus(answer, self._request, self._hidden_gpus):
            copy.untold = [f"all GPUs are visible to the job, because their state could not be read: {unread}"]
        self._agents.ask(copy.node, "claim", job=self._copies.label, work=self._copies.have_work_folder)
        promised_cpus = self._allocation_limits.get(copy.node)
        capacity = {"cpus": None, "slots": answer.slots, "promised_cpus": promised_cpus}
        asked: dict[str, Any] = {"lease": lease, "capacity": capacity, "tasks": self._for_tasks}
        self._agents.ask(copy.node, "admit", job=self._copies.label, **asked)
        self._agents.expect(copy.node, "claim")
