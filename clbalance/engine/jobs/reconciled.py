"""What `reconcile` is asked about jobs, and what it finds. Many calls ask nothing: their jobs are over."""

from collections.abc import Callable, Iterator, Sequence

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import JobSpec
from clbalance.model.job_record import JobRecord, Outcome
from clbalance.ports import RunListener


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRequest:
    """One job, how it is followed, and its listener."""

    record: JobRecord
    spec: JobSpec
    mode: FollowMode
    listener: RunListener
    slot_listener: Callable[[], RunListener] | None = None
    """Makes a listener for each slot of a job of tasks, which also gets the slot's log. None: `listener` is enough."""
    ended_too: bool = False
    """Also visit copies that have ended, for their output."""
    nodes: frozenset[NodeName] | None = None
    """Visit only these nodes. None: all."""
    is_awaited: bool = True
    """The visit goes on until this job is done with; False: only for a short time longer than for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The current record of the job, and the known outcomes of its copies; `Lost` if a node is silent."""

    record: JobRecord
    outcomes: tuple[Outcome, ...]
    all_ended: bool
    """Whether the job has copies, and each has an outcome."""


def by_login(services: Services, users: Sequence[str | None]) -> Iterator[tuple[Services, list[int]]]:
    """For each distinct user, in order of first appearance: services that log in so, and the indices in `users`."""
    for user in dict.fromkeys(users):
        yield services.as_user(user), [place for place, one in enumerate(users) if one == user]
