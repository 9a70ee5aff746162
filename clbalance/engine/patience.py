"""A job that waits for its turn or its place, and one that gives up waiting."""

from collections.abc import Callable

from clbalance.engine.results import keep_results
from clbalance.engine.world import World
from clbalance.errors import ExitCode, NotRunError, StoreError
from clbalance.job import Tries
from clbalance.model import Plan
from clbalance.policy.select import Rng

_ASK_AGAIN_S = (0.5, 15.0)  # between two sweeps of a waiting job: at first, and at most
_LATE = 0.2  # of the time it has waited, so much more may pass until a place is found that has come free


class Patience:
    """For a place, as long as the job may wait for one."""

    def __init__(self, world: World, tries: Tries, rng: Rng) -> None:
        self._clock = world.clock
        self._for_s = tries.queue_for_s or 0.0
        self._rng = rng
        self._since = world.clock.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether it has waited for long enough."""
        return self._left_s() <= 0

    def pause(self) -> None:
        """Until it is worth asking again."""
        shortest_s, longest_s = _ASK_AGAIN_S
        pause_s = min(max((self._for_s - self._left_s()) * _LATE, shortest_s), longest_s)
        self._clock.pause(max(0.0, min(self._left_s(), pause_s * (0.5 + self._rng.random()))))

    def _left_s(self) -> float:
        return self._for_s - (self._clock.monotonic() - self._since)


def await_turn(world: World, job: int, tries: Tries, tell: Callable[[str], None]) -> None:
    """Until the jobs before it are completed; `NotRunError`, and it is written down, where that will never be."""
    if not tries.after:
        return
    from clbalance.engine.after import hindrance

    reason = f"after job {', '.join(map(str, tries.after))}"
    tell(reason)
    world.journal.pend(job, reason)
    if why := hindrance(world, job, tries):
        withdraw(world, job, why)
        raise NotRunError(f"job {job} is not started: {why}")


def withdraw(world: World, job: int, reason: str, plan: Plan | None = None) -> None:
    """It will not be started. Where a copy may have been, as when it is stopped twice, it is only let go."""
    code = ExitCode.NOT_RUN_TO_ITS_END
    try:
        withdrawn = world.journal.withdraw(job, world.clock.now(), reason=reason, rc=code)
    except StoreError as error:
        world.listener.forgot(error.message)
        return
    if withdrawn:
        keep_results(world, job, (), plan)
