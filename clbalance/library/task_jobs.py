"""Bundles of commands as jobs of tasks: the futures of a bundle get the ends of its tasks."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from clbalance.engine.agent.listeners import NullTaskListener
from clbalance.engine.services import PlacementQuery, Services
from clbalance.engine.tasks.run_tasks import TaskJobResult, run_tasks
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.errors import Interrupted, TaskFailedError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.library.bundles import Bundle, Bundles, Item
from clbalance.library.calls import services_of
from clbalance.library.context import ProgramContext
from clbalance.library.requests import Request, query_for
from clbalance.library.submissions import Surroundings, new_job, submit
from clbalance.library.values import Completed
from clbalance.model import NodeName, Plan
from clbalance.model.job import NoInput, RestartPolicy, TaskRules
from clbalance.model.job_record import End, Exited, Killed, Lost
from clbalance.model.task import Task, TaskEnded
from clbalance.policy.jobs.outcome import reason_of, state_of
from clbalance.units import parse_duration
from clbalance.wiring.nothing_fits import nothing_fits

MOST_OUTPUT_BYTES = 64 << 20
"""Of each stream of a task; more is dropped, and `Completed.is_cut` says so."""
_EXECUTE = ("/bin/sh", "-c", 'exec "$@"', "sh")
"""What each task's words are appended to."""


def task_bundles(  # noqa: PLR0913 - they are the arguments of `Executor`
    context: ProgramContext,
    *,
    name: str,
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    time_limit: float | str | None,
    queue_for: float | str | None,
    request: Request,
    retry: int = 0,
    max_workers: int | None = None,
) -> Bundles:
    """Bundles that are carried out as jobs of tasks. `UsageError` for values that are not possible."""
    if retry < 0:
        raise UsageError(f"`retry` cannot be {retry}", hint="how many times more, 0 or more")
    around = Surroundings.of(name=name, default=name, env=env, cwd=cwd, time_limit=time_limit)
    waits_s = None if queue_for is None else parse_duration(str(queue_for), "`queue_for`")
    jobs = _TaskJobs(
        context=context,
        surroundings=around,
        query=query_for(context, request, pick=None, name=around.name),
        restart_policy=RestartPolicy(retry=retry, queue_for_s=waits_s),
    )
    return Bundles(jobs.run, max_workers)


def in_order(
    futures: Sequence["Future[Any]"], timeout: float | None, otherwise: Callable[[], None] = lambda: None
) -> Iterator[Any]:
    """Their results, in order; `timeout` counts from now on.

    When the iterator is closed early, or fails, the futures that are left are cancelled, and `otherwise` is called.
    """
    until = None if timeout is None else time.monotonic() + timeout

    def results() -> Iterator[Any]:
        try:
            for future in futures:
                yield future.result(None if until is None else max(0.0, until - time.monotonic()))
        except BaseException:
            for future in futures:
                future.cancel()
            otherwise()
            raise

    return results()


@dataclass(frozen=True, slots=True, kw_only=True)
class _TaskJobs:
    """Carries out bundles of one kind."""

    context: ProgramContext
    surroundings: Surroundings
    query: PlacementQuery
    restart_policy: RestartPolicy

    def run(self, bundle: Bundle) -> None:
        """Run the commands of a bundle. All its futures are done then."""
        ends = Ends(bundle)
        try:
            if not ends.are_all_cancelled():
                with services_of(self.context, bundle.stop) as services:
                    ends.conclude(self._carry_out(services, bundle, ends), self.context)
        except Interrupted:
            pass  # before the first task was given out
        except BaseException as error:  # noqa: BLE001 - it is raised where a result is asked for
            ends.fail(error)
        finally:
            ends.fail(TaskFailedError("ended before it has run", state="CANCELLED"))

    def _carry_out(self, services: Services, bundle: Bundle, ends: "Ends") -> TaskJobResult | Plan:
        tasks = tuple(Task(number=number, words=item.words) for number, item in enumerate(bundle.items))
        rules = TaskRules(at_once=bundle.at_once)
        new = new_job(self.context, self.surroundings, _EXECUTE)
        job = submit(services, self.context, new, self.query, self.restart_policy, rules=rules, tasks=tasks)
        return run_tasks(
            TaskRunContext(
                services=services,
                query=self.query,
                job=job,
                tasks=tasks,
                rules=rules,
                restart_policy=self.restart_policy,
                stdin=NoInput(),
                listener=ends,
                is_wanted=ends.is_wanted,
            )
        )


class Ends(NullTaskListener):
    """Brings the ends of tasks to their futures (`ports.TaskListener`)."""

    def __init__(self, bundle: Bundle) -> None:
        self._items = bundle.items
        self._stop = bundle.stop
        self._written: dict[int, dict[str, bytearray]] = {}
        self._cut: set[int] = set()
        self._decided: set[int] = set()
        """The tasks whose futures run, or are cancelled for good."""

    def are_all_cancelled(self) -> bool:
        """Whether there is nothing to run."""
        return all(item.future.cancelled() for item in self._items)

    def is_wanted(self, number: int) -> bool:
        """Whether the task may be given to a node now: its future was not cancelled, and cannot be from now on."""
        self._written.pop(number, None)  # of an earlier try
        self._cut.discard(number)
        return self._runs(number)

    def output(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        written = self._written.setdefault(task, {"stdout": bytearray(), "stderr": bytearray()})[stream]
        room = MOST_OUTPUT_BYTES - len(written)
        written += piece[:room]
        if len(piece) > room:
            self._cut.add(task)

    def ended(self, ended: TaskEnded) -> None:
        item, written = self._items[ended.number], self._written.pop(ended.number, {})
        if not item.future.running():
            return  # cancelled
        stdout, stderr = (bytes(written.get(stream, b"")) for stream in ("stdout", "stderr"))
        completed = Completed(
            args=item.given,
            returncode=_returncode(ended.end),
            stdout=stdout,
            stderr=stderr,
            node=ended.node,
            seconds=ended.seconds,
            is_cut=ended.number in self._cut,
        )
        try:
            if not isinstance(ended.end, Exited | Killed):
                raise _failure(item, ended.end, ended.node, completed)
            result = item.result_of(completed)
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            item.future.set_exception(error)
        else:
            item.future.set_result(result)

    def conclude(self, outcome: TaskJobResult | Plan, context: ProgramContext) -> None:
        """The run is over: tell the futures of tasks that were not run to their end."""
        if isinstance(outcome, Plan):
            self.fail(nothing_fits(outcome, context.candidates, explained=False))
            return
        for record in outcome.records:
            number, node = record.task.number, record.node
            if record.end is not None:
                self._fail(number, _failure(self._items[number], record.end, node or "", None))
            elif node is not None:
                self._fail(number, TaskFailedError(f"{node} does not answer any more", state="RUNNING", node=node))
        if not self._stop.is_asked and outcome.result.reason:
            self.fail(TaskFailedError(f"not started: {outcome.result.reason}", state="CANCELLED"))

    def fail(self, error: BaseException) -> None:
        """Give this exception to the futures that are not done. After a stop, those that no node has are cancelled."""
        for number, item in enumerate(self._items):
            if self._stop.is_asked:
                item.future.cancel()
            self._fail(number, error)

    def _fail(self, number: int, error: BaseException) -> None:
        if self._runs(number):
            self._items[number].future.set_exception(error)

    def _runs(self, number: int) -> bool:
        """Whether the future is running, from now on if it was neither running nor cancelled. Whoever waits for it by
        `concurrent.futures.wait` learns here that it is cancelled.
        """
        future = self._items[number].future
        if number not in self._decided:
            self._decided.add(number)
            future.set_running_or_notify_cancel()  # it may be called once
        return future.running()


def _failure(item: Item, end: End, node: str, completed: Completed | None) -> TaskFailedError:
    state = state_of(end).value
    where = f" on {node}" if node else ""
    why = reason_of(end) or state
    if isinstance(end, Lost):
        why = f"its fate is not known: {why}"
    return TaskFailedError(f"`{item.given[0]}`{where}: {why}", state=state, node=node, completed=completed)


def _returncode(end: End) -> int:
    match end:
        case Exited(rc=rc):
            return rc
        case Killed(signal=number):
            return -number
        case _:
            return -1
