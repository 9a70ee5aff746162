"""Which jobs `jobs` shows: by time, state, name and owner. Pure."""

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Conditions that a shown job meets, all of them; an empty one is met by every job."""

    since: datetime | None = None
    """It was not over before that time."""
    states: frozenset[JobState] = frozenset()
    names: tuple[str, ...] = ()
    """One of these is its name, or a pattern as in a shell that matches it."""
    owners: frozenset[str] = frozenset()

    @property
    def wants_ended(self) -> bool:
        """Whether it asks for jobs that are over."""
        return self.since is not None or any(state.is_over for state in self.states)

    def takes(self, *, name: str, state: str, owner: str, ended_at: datetime | None) -> bool:
        """Whether a job meets all conditions."""
        return (
            (self.since is None or ended_at is None or ended_at >= self.since)
            and (not self.states or state in self.states)
            and (not self.names or any(fnmatchcase(name, pattern) for pattern in self.names))
            and (not self.owners or owner in self.owners)
        )


def parse_states(texts: Iterable[str]) -> frozenset[JobState]:
    """The states in texts such as `failed,timeout`, in any case. `UsageError` for an unknown one."""
    words = [word.strip().upper() for text in texts for word in text.split(",")]
    known = {state.value for state in JobState}
    if bad := next((word for word in words if word not in known), None):
        raise UsageError(f"unknown state {bad.lower()!r}", hint=f"one of {', '.join(sorted(known))}")
    return frozenset(map(JobState, words))
