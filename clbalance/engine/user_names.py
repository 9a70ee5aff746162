"""Ask nodes for the names of users that this host does not know. It costs a login on each node that has any."""

from collections.abc import Callable, Mapping

from clbalance.engine.services import Services
from clbalance.model import Measured, NodeName, Snapshot, Unknown
from clbalance.ports import Closed
from clbalance.probe.frame import Answered, Frame, Garbled, Section, probe_request
from clbalance.probe.user_names import parse_user_names
from clbalance.random_hex import random_hex

_MOST_UIDS = 64  # of one node
_CUT_OFF = Section(text="", status=None)


def users_on(answer: Measured) -> frozenset[int]:
    """The uids that reports about the node name: owners of leases, and of processes on its GPUs."""
    leases, gpus = answer.reading.leases, answer.reading.gpus
    uids = {lease.uid for lease in leases} if not isinstance(leases, Unknown) else set()
    for gpu in () if isinstance(gpus, Unknown) else gpus:
        if not isinstance(gpu.processes, Unknown):
            uids |= {process.uid for process in gpu.processes if process.uid is not None}
    return frozenset(uids)


def names_on_nodes(
    services: Services, snapshot: Snapshot, script: Callable[[frozenset[int]], str], known: frozenset[int]
) -> dict[NodeName, Mapping[int, str]]:
    """For each node the names of those uids on it that are not `known`. Without an answer in time: none.

    `script` makes the text that is sent for some uids.
    """
    answers = [answer for answer in snapshot.answers if isinstance(answer, Measured)]
    unknown = {answer.node: frozenset(sorted(users_on(answer) - known)[:_MOST_UIDS]) for answer in answers}
    asked = {node: uids for node, uids in unknown.items() if uids}
    return _ask(services, asked, script) if asked else {}


def _ask(
    services: Services, asked: Mapping[NodeName, frozenset[int]], script: Callable[[frozenset[int]], str]
) -> dict[NodeName, Mapping[int, str]]:
    found: dict[NodeName, Mapping[int, str]] = {}
    frames: dict[NodeName, Frame] = {}
    with services.transport.sessions() as sessions:
        for node, uids in asked.items():
            nonce = random_hex()
            sessions.open(node, within_s=services.answer_within_s)
            sessions.send(node, probe_request(script(uids), nonce), last=not sessions.keeps)
            frames[node] = Frame(nonce)
        while frames:
            event = sessions.next(1.0)
            if event is None or event.node not in frames:
                continue
            heard = event if isinstance(event, Closed) else frames[event.node].feed(event.text)
            match heard:
                case None:
                    continue
                case Answered(sections=sections):
                    found[event.node] = parse_user_names(sections.get("names", _CUT_OFF), asked[event.node])
                    sessions.release(event.node)
                case Garbled(reason=reason) | Closed(reason=reason):
                    sessions.close(event.node, fault=reason)
            del frames[event.node]
    return found
