"""Ask nodes for the current usage of running jobs."""

from collections.abc import Iterable, Mapping, Sequence

from clbalance.engine.agent.protocol import AgentError, AgentEvent, Hello, Status
from clbalance.engine.agent.sessions import PROTOCOL, Agents
from clbalance.engine.jobs.reconciled import by_login
from clbalance.engine.jobs.submitted import user_of
from clbalance.engine.services import Services
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord, JobState, Usage
from clbalance.policy.jobs.record import copies_without_outcome
from clbalance.ports import Closed


def usage_of(services: Services, records: Sequence[JobRecord]) -> dict[int, Usage]:
    """The usage of each running job, summed over the copies that answered. Without an answer: no entry, never zero.

    Nor is there one for jobs of batch systems: no agent of ours runs beside them.
    """
    running = [one for one in records if one.state is JobState.RUNNING and not one.engine]
    found: dict[int, Usage] = {}
    for theirs, places in by_login(services, [user_of(services, one.id) for one in running]):
        found |= _usage_of(theirs, [running[place] for place in places])
    return found


def _usage_of(services: Services, records: Sequence[JobRecord]) -> dict[int, Usage]:
    running: dict[str, int] = {}
    asked: dict[NodeName, set[str]] = {}
    for record in records:  # each slot of a job of tasks has a claim of its own
        for copy in copies_without_outcome(record, services.journal.copies(record.id)):
            label = f"{record.key}.{copy.claim}"
            running[label] = record.id
            asked.setdefault(copy.intent.node, set()).add(label)
    parts = ask_status(services, asked) if asked else ()
    found: dict[int, Usage] = {}
    for _, status in parts:
        if status.state == "running" and status.mem_bytes is not None:
            job = running[status.job]
            before = found.get(job, Usage(cpu_s=0.0, mem_bytes=0))
            cpu_s = (status.user_s or 0.0) + (status.system_s or 0.0)
            found[job] = Usage(cpu_s=before.cpu_s + cpu_s, mem_bytes=before.mem_bytes + status.mem_bytes)
    return found


def ask_status(services: Services, asked: Mapping[NodeName, Iterable[str]]) -> list[tuple[NodeName, Status]]:
    """The status of these claims on their nodes: all answers that arrive in time, over one session a node."""
    left = {node: set(labels) for node, labels in asked.items()}
    parts: list[tuple[NodeName, Status]] = []
    with services.transport.sessions() as sessions:
        agents = Agents(sessions, services)

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            match event:
                case Hello(protocol=protocol) if protocol == PROTOCOL:
                    for label in asked[node]:
                        agents.ask(node, "status", job=label)
                    agents.expect(node, "status", within_s=services.answer_within_s)
                case Status(job=label) if label in left.get(node, ()):
                    parts.append((node, event))
                    left[node].discard(label)
                case Closed() | AgentError() | Hello():
                    left.pop(node, None)
                case _:
                    pass
            if not left.get(node):
                left.pop(node, None)
                agents.hang_up(node)

        for node in asked:
            agents.call(node)
        agents.listen(hear, lambda: not left)
    return parts
