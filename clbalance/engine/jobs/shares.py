"""Look on the nodes whether running jobs hold more GPU memory than the shares that they have leased."""

from collections.abc import Sequence

from clbalance.engine.jobs.reconciled import by_login
from clbalance.engine.jobs.submitted import user_of
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import StoreError
from clbalance.model import Measured, NodeName
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.gpu_users import ShareExcess, share_excesses


def excesses_of(services: Services, records: Sequence[JobRecord]) -> dict[str, list[tuple[NodeName, ShareExcess]]]:
    """What each of these jobs holds beyond its shares, by the job's key. Nodes without jobs on shares are not asked.

    The probe must ask for the owners of processes.
    """
    sharing = [record for record in records if record.state is JobState.RUNNING and _has_share(services, record.id)]
    found: dict[str, list[tuple[NodeName, ShareExcess]]] = {}
    for theirs, places in by_login(services, [user_of(services, one.id) for one in sharing]):
        nodes = dict.fromkeys(node for place in places for node in sharing[place].nodes)
        for answer in take_snapshot(theirs, list(nodes)).answers:
            if not isinstance(answer, Measured):
                continue
            for one in share_excesses(answer.reading):
                if one.lease.uid == answer.reading.uid:  # other users give their leases any key
                    found.setdefault(one.lease.key, []).append((answer.node, one))
    return found


def _has_share(services: Services, job: int) -> bool:
    try:
        submitted = services.journal.submitted(job)
    except StoreError:  # of another version of the program
        return False
    return submitted is not None and submitted.request.gpus > 0 and submitted.request.gpu_share < 1
