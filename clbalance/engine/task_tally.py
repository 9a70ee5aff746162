"""What has been counted of a run of tasks."""

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.tasks import left_s
from clbalance.task import TaskProgress


@dataclass(slots=True)
class Tally:
    """`done` and `failed` of the tasks that are over; `runs` and `busy_s` of all that have ended, retries included."""

    total: int
    done: int = 0
    failed: int = 0
    runs: int = 0
    busy_s: float = 0.0
    started_at: float | None = None

    @property
    def mean_s(self) -> float | None:
        """How long they take."""
        return self.busy_s / self.runs if self.runs else None

    def ran(self, seconds: float) -> None:
        """One has ended by itself."""
        self.runs += 1
        self.busy_s += seconds

    def is_over(self, *, failed: bool) -> None:
        """One is done with."""
        self.done += 1
        self.failed += failed

    def progress(self, now: float, running: int) -> TaskProgress:
        """How far it has come."""
        elapsed_s = 0.0 if self.started_at is None else now - self.started_at
        return TaskProgress(
            total=self.total,
            running=running,
            done=self.done,
            failed=self.failed,
            left_s=left_s(elapsed_s=elapsed_s, done=self.done, total=self.total),
        )
