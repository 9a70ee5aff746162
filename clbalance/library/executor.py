"""`clbalance.Executor`: a `concurrent.futures.Executor` whose workers are the free places of a cluster."""

import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from clbalance.library.bundles import Item
from clbalance.library.cluster import Cluster
from clbalance.library.functions import PROGRAM, VARIABLE, call_words, function_name, result_of
from clbalance.library.requests import Request
from clbalance.library.submissions import checked_words, words_of
from clbalance.library.task_jobs import in_order, task_bundles
from clbalance.library.values import Completed

P = ParamSpec("P")
T = TypeVar("T")


class Executor(concurrent.futures.Executor):
    """Runs commands, and functions that nodes can import, on the nodes of `cluster` (None: `Cluster()`).

    What is submitted together becomes one job of many tasks: the agent of each node starts one after the other, so a
    short command costs a thousandth of a login. It shows in `clbalance jobs`, under `name`.

    `max_workers`: how many run at once; None: as many as fit. Each has the request that is given by keywords, such as
    `cpus=2, mem="4G"`. `env`, `cwd`: its variables and folder. `time_limit`: seconds, or text such as `2h`, after
    which a task is ended. `retry`: how often a task that failed is tried again. `queue_for`: how long to wait for
    nodes that fit, such as `10m`; without it, tasks fail at once with `NothingFitsError` where nothing fits.
    `python`: the interpreter on nodes for functions.

    Futures: `cancel` succeeds until a node has been given the task. `Executor.shutdown` and the end of a `with` block
    wait, as of any executor. If an exception leaves the block (also Ctrl-C), what runs on nodes is ended first, as by
    `terminate_workers`. At the end of the interpreter, what was submitted is waited for. Thread-safe; not for use in
    a forked child of the process that has made it.
    """

    def __init__(  # noqa: PLR0913 - all but the first are by keyword
        self,
        cluster: Cluster | None = None,
        *,
        max_workers: int | None = None,
        name: str = "executor",
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        time_limit: float | str | None = None,
        retry: int = 0,
        queue_for: float | str | None = None,
        python: str = "python3",
        **request: Unpack[Request],
    ) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError("max_workers must be greater than 0")
        self._python = python
        self._bundles = task_bundles(
            (cluster or Cluster()).context,
            max_workers=max_workers,
            name=name,
            env={VARIABLE: PROGRAM, **(env or {})},
            cwd=cwd,
            time_limit=time_limit,
            retry=retry,
            queue_for=queue_for,
            request=request,
        )

    @overload
    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]": ...
    @overload
    def submit(self, work: list[str] | tuple[str, ...], /, *args: str) -> "Future[Completed]": ...
    @overload
    def submit(self, work: str, /, *args: Any, **kwargs: Any) -> "Future[Any]": ...
    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run a command or a function.

        A list of words is a command; further arguments are further words, and the result is a `Completed`, also where
        the exit code is not 0. A function, or its name `module:function`, is imported on the node; arguments and
        result are JSON values, so a tuple arrives as a list. What it prints goes to `stderr`.

        The future's exceptions: `RemoteError` if the function raised; `TaskFailedError` if the task was not run to its
        end (time limit, memory limit, node lost); `NothingFitsError`; `StoreError`. Here: `UsageError` for what cannot
        be meant, `RuntimeError` after `shutdown`.
        """
        item = self._item(work, args, kwargs)
        self._bundles.add([item])
        return item.future

    def map(
        self, fn: Any, *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[Any]:
        """The results of `submit(fn, a, b, …)` for the elements of the iterables, in order, as of any executor.

        `fn` may also be the first words of a command: `map(["gzip", "-k"], paths)`. All is submitted at once.
        `TimeoutError` if a result is not there `timeout` seconds after the call. What is left is cancelled when the
        iterator is closed or fails. `chunksize` is ignored: tasks are given out in groups anyway.
        """
        del chunksize
        items = [self._item(fn, args, {}) for args in zip(*iterables, strict=False)]
        self._bundles.add(items, are_all=True)
        return in_order([item.future for item in items], timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more. `cancel_futures`: what no node was given yet is cancelled. `wait`: until all is done."""
        self._bundles.shut(cancel=cancel_futures)
        if wait:
            self._bundles.wait()

    def terminate_workers(self) -> None:
        """End what runs on nodes, cancel the rest, and take no more (the name is that of `ProcessPoolExecutor`)."""
        self._bundles.stop()
        self._bundles.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.shutdown()
        except BaseException:
            kind = BaseException
            raise
        finally:
            if kind is not None:
                self.terminate_workers()

    def _item(self, work: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Item:
        if isinstance(work, list | tuple):
            if kwargs:
                raise TypeError("a command takes no keyword arguments")
            return Item.of(words_of((*work, *args)))
        name = function_name(work)
        words = checked_words(call_words(self._python, name, args, kwargs))
        return Item(words=words, given=(name,), future=Future(), result_of=lambda completed: result_of(name, completed))
