"""The fair shares of the accounts whose jobs wait, from the jobs that the journal remembers."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final

from clbalance.errors import StoreError
from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord
from clbalance.policy.queue.fair_share import HALF_LIVES, FairShare, Use, account_of, charge_of, fair_shares
from clbalance.ports import Journal

_REMEMBERED: Final = 2000
"""The newest jobs that are looked at."""


def shares_of_waiting(
    journal: Journal, waiting: Collection[Submitted], now: datetime, half_life_s: float
) -> Mapping[str, FairShare]:
    """By account; empty while the jobs of one account wait alone, whose order no share can change."""
    accounts = {account_of(one) for one in waiting}
    if len(accounts) < 2:
        return {}
    return fair_shares(_uses(journal, now, half_life_s), accounts, now.timestamp(), half_life_s)


def submitted_of(journal: Journal, record: JobRecord) -> Submitted | None:
    """What was submitted of a job; None if that cannot be read: such a job counts for nobody."""
    try:
        return journal.submitted(record.id)
    except StoreError:
        return None


def _uses(journal: Journal, now: datetime, half_life_s: float) -> Iterator[Use]:
    """Of each job its last attempt."""
    for record in journal.records(over=True, newest=_REMEMBERED):
        if record.started_at is None or _age_s(record, now) > HALF_LIVES * half_life_s:
            continue
        if (submitted := submitted_of(journal, record)) is not None:
            yield Use(
                account=account_of(submitted),
                charge=charge_of(submitted.request, len(record.nodes)),
                since_s=record.started_at.timestamp(),
                until_s=(record.ended_at or now).timestamp(),
            )


def _age_s(record: JobRecord, now: datetime) -> float:
    return 0.0 if record.ended_at is None else (now - record.ended_at).total_seconds()
