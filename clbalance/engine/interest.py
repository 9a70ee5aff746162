"""What somebody wants of a job that runs. Apart from `follow`, so that nodes can be asked before that is imported."""

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """What we want of the copies."""

    streams: tuple[str, ...] = ("stdout", "stderr")
    to_the_end: bool = True
    """Else only what there is by now."""
    leave_when_started: bool = False
    void: bool = True
    """Of a copy that has not started, make sure that it never will: it is ours to say."""
    retire: bool = False
    """Who followed it has seen it all: what it left on its node may go."""
    persist: bool = True
    """Call again when a connection is lost."""
    end: str | None = None
    """End them, and why."""
    signal: int | None = None
    ends_with_us: bool = True
    """Told to stop, we end them; else they are let go once they run."""
    finish: bool = False
    """Of slots that another agent has started: nobody will bring them more tasks."""


WATCHED = Interest(retire=True)
"""`run`: all of it, here and now."""
DETACHED = Interest(streams=(), leave_when_started=True)
"""`run --detach`: that it runs. What a copy prints while others are still to start is for `logs`."""
KEPT = Interest(streams=())
"""A keeper in the background: how it ends."""
LEFT_RUNNING = Interest(streams=(), leave_when_started=True, ends_with_us=False)
"""A job from the queue, or one of nobody's that was moved: that it runs."""
