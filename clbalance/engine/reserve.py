"""Ask every node of a job for its yes: all of them, or none."""

from collections.abc import Mapping
from typing import Any

from clbalance.engine.agent_wire import Admitted, AgentEvent, Claimed, Hello, Refused, Trouble
from clbalance.engine.agents import PROTOCOL, Agents
from clbalance.engine.copies import Copies, Copy, Phase
from clbalance.engine.job_words import lease_request
from clbalance.engine.switchboard import SharedAgents
from clbalance.model import Measured, NodeName, Request
from clbalance.ports import Closed

START_WITHIN_S = 30.0  # from the agent's bootstrap to the job's first process


class Reservation:
    """Claims and leases for the copies of one claim, before anything is started."""

    def __init__(
        self,
        agents: Agents | SharedAgents,
        copies: Copies,
        *,
        request: Request,
        answers: Mapping[NodeName, Measured],
        name: str,
        for_tasks: bool = False,
        most_promised: Mapping[NodeName, float] | None = None,
    ) -> None:
        self._agents = agents
        self._copies = copies
        self._request = request
        self._answers = answers
        self._name = name
        self._for_tasks = for_tasks
        self._most_promised = most_promised or {}
        self.refusals: dict[NodeName, str] = {}
        """The nodes that said no, and why."""
        self.crowded: dict[NodeName, float] = {}
        """Of those the ones where others were faster, and the cpus that are promised there by now."""

    def make(self) -> dict[NodeName, str]:
        """The refusals; if there is one, the others are released."""
        self.call()
        self._agents.listen(self.hear, lambda: bool(self.refusals) or self.is_made)
        if self.refusals:
            for copy in self._copies:
                self._agents.hang_up(copy.node)
        return self.refusals

    def call(self) -> None:
        """Ask all nodes."""
        for copy in self._copies:
            self._agents.call(copy.node, within_s=START_WITHIN_S)

    @property
    def is_made(self) -> bool:
        """Whether all have said yes."""
        return self._copies.all_in(Phase.ADMITTED)

    def hear(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """News of one node."""
        if node not in self._copies:
            return
        copy = self._copies[node]
        match event:
            case Hello(protocol=protocol):
                self._claim(copy, protocol)
            case Claimed(boot_id=boot_id, birth=birth):
                copy.boot_id, copy.birth = boot_id, birth
            case Admitted():
                copy.phase = Phase.ADMITTED
            case Refused(promised_cpus=float(cpus), why=why):
                self.crowded[node], self.refusals[node] = cpus, why
            case Refused(why=why) | Trouble(why=why):  # what it cannot make sense of is a no: nothing else would follow
                self.refusals[node] = why
            case Closed(cause=cause, why=why):
                self.refusals[node] = cause.because(why)
            case _:
                pass  # nothing else is asked for yet

    def _claim(self, copy: Copy, protocol: int) -> None:
        if protocol != PROTOCOL:
            self.refusals[copy.node] = f"the agent speaks protocol {protocol}, not {PROTOCOL}"
            return
        copy.phase = Phase.CLAIMING
        answer = self._answers[copy.node]
        lease = lease_request(self._request, answer, self._name)
        self._agents.ask(copy.node, "claim", job=self._copies.label)
        promised_cpus = self._most_promised.get(copy.node)
        capacity = {"cpus": None, "slots": answer.slots, "promised_cpus": promised_cpus}
        asked: dict[str, Any] = {"lease": lease, "capacity": capacity, "tasks": self._for_tasks}
        self._agents.ask(copy.node, "admit", job=self._copies.label, **asked)
