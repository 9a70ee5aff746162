"""Changes of pending jobs by their user: hold, release, and update."""

from datetime import datetime

from clbalance.model.job import JobChanges, Submitted
from clbalance.policy.jobs.eligibility import held_reason
from clbalance.store.database import as_store_error, storable, transaction
from clbalance.store.job_rows import NO_OPEN_COPY, from_text, microseconds, to_text
from clbalance.store.ownership import JournalOwnership

_PENDING = f"state = 'PENDING' AND cancelled IS NULL AND {NO_OPEN_COPY}"


class JournalPending(JournalOwnership):
    """The methods of `ports.Journal` for them, on a database of `SqliteStore`."""

    def hold(self, job: int, holder: str) -> bool:
        statement = f"UPDATE job SET held = coalesce(held, ?) WHERE id = ? AND {_PENDING}"
        with as_store_error(self._database), transaction(self._connection):
            return self._connection.execute(statement, (storable(holder), job)).rowcount > 0

    def end_hold(self, job: int, at: datetime) -> bool:
        statement = f"UPDATE job SET held = NULL, waited_for = ?, waits_us = ? WHERE id = ? AND {_PENDING}"
        with as_store_error(self._database), transaction(self._connection):
            query = f"SELECT held, waited_for, waits_us FROM job WHERE id = ? AND {_PENDING}"
            found = self._connection.execute(query, (job,)).fetchone()
            if found is None:
                return False
            holder, waited_for, waits_us = found
            if holder is not None:
                waits_us = None if waits_us is None else microseconds(at)
                waited_for = held_reason(holder)
            self._connection.execute(statement, (waited_for, waits_us, job))
        return True

    def update(self, job: int, changes: JobChanges) -> bool:
        statement = "UPDATE job SET submitted = ?, name = ?, priority = ? WHERE id = ?"
        with as_store_error(self._database), transaction(self._connection):
            query = f"SELECT submitted FROM job WHERE id = ? AND {_PENDING}"
            found = self._connection.execute(query, (job,)).fetchone()
            if found is None:
                return False
            changed = changes.applied_to(from_text(found[0], Submitted))
            values = (to_text(changed), storable(changed.job.name), changed.priority, job)
            self._connection.execute(statement, values)
        return True
