"""The journal of results that are returned from nodes (docs/design/job_files.md)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from clbalance.model.job_files import ReturnRecord


class Returns(Protocol):
    """What came back of each copy of the jobs with `run --return`. Errors: `StoreError`."""

    def all(self, *, pending: bool = False) -> tuple[ReturnRecord, ...]:
        """By job, claim and rank, for copies that were launched. `pending`: only those that are not here."""
        ...

    def of(self, job: int) -> tuple[ReturnRecord, ...]:
        """Those of one job."""
        ...

    def put(self, record: ReturnRecord) -> None:
        """Replace the record of that copy."""
        ...

    def lock(self, job: int) -> AbstractContextManager[bool]:
        """Try to become the one process that brings results of the job, without waiting; yields whether we are."""
        ...
