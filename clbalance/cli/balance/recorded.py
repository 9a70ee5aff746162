"""The recorded history of this state folder, as a choice among policies needs it."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from clbalance.engine.backtest.daily_choice import HISTORY_DAYS
from clbalance.errors import StoreError
from clbalance.model import Snapshot
from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord
from clbalance.policy.backtest.history import History
from clbalance.policy.backtest.others import OwnUse, with_load_of_others
from clbalance.ports import Journal, Store
from clbalance.trace.history import history_until

_MOST_JOBS: Final = 20_000
_LOAD_DAYS: Final = 30


def recorded_history(store: Store, journal: Journal, idle: Snapshot, until: datetime) -> History:
    """The jobs that ran on these nodes and the load of others there, as they were at `until`."""
    names = frozenset(answer.node for answer in idle.answers)
    records = journal.records(over=True, newest=_MOST_JOBS)
    jobs = [(one, _submitted(journal, one)) for one in records if one.nodes and names.issuperset(one.nodes)]
    trace, until_s = history_until(jobs, until - timedelta(days=HISTORY_DAYS), until)
    mean_load = store.mean_load(sorted(names), until - timedelta(days=_LOAD_DAYS), until)
    cluster = with_load_of_others(idle, mean_load, _own_use(jobs), until.timestamp())
    return History(cluster=cluster, trace=trace, until_s=until_s)


def _submitted(journal: Journal, record: JobRecord) -> Submitted | None:
    try:
        return journal.submitted(record.id)
    except StoreError:
        return None  # a job that cannot be read does not count


def _own_use(jobs: Iterable[tuple[JobRecord, Submitted | None]]) -> Iterator[OwnUse]:
    for record, submitted in jobs:
        if submitted is None or record.started_at is None:
            continue
        end_s = None if record.ended_at is None else record.ended_at.timestamp()
        for node in record.nodes:
            yield OwnUse(node=node, cpus=submitted.request.cpus, start_s=record.started_at.timestamp(), end_s=end_s)
