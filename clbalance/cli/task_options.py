"""What `run` can be told about many tasks in one job."""

from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """Which tasks there are, and when enough of them have failed."""

    tasks: Annotated[
        str | None, Option("--tasks", metavar="FILE", help="Many tasks: a shell command on each line; -: from stdin.")
    ] = None
    array: Annotated[
        str | None, Option("--array", metavar="0-99[%N]", help="Run it with each CLBALANCE_TASK_ID, N at a time.")
    ] = None
    max_fail: Annotated[
        str | None, Option("--max-fail", metavar="N|P%", help="Give out no more when more tasks have failed.")
    ] = None
    resume: Annotated[
        str | None, Option("--resume", metavar="JOB", help="Run its tasks again that failed or were not started.")
    ] = None

    @property
    def are_meant(self) -> bool:
        """Whether it is a job of tasks."""
        return not (self.tasks is None and self.array is None and self.resume is None)
