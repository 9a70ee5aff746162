"""`clbalance.Cluster`: the nodes of a cluster, their load, and commands on the best of them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Unpack

from clbalance.engine.services import PlacementQuery
from clbalance.errors import NotRunError, UsageError
from clbalance.library.bundles import Item
from clbalance.library.calls import Stop, carry_out, services_of
from clbalance.library.context import ProgramContext
from clbalance.library.job import Job
from clbalance.library.requests import Request, query_for
from clbalance.library.submissions import Surroundings, new_job, submit, words_of
from clbalance.library.values import Completed, NodeLoad, Nodes
from clbalance.model.job import JobSpec, NoInput, RestartPolicy
from clbalance.nodeset import Selection
from clbalance.policy.jobs.outcome import reason_of
from clbalance.settings.load import load_settings
from clbalance.transport.reach import this_node
from clbalance.wiring.context import plain_ssh
from clbalance.wiring.folders import results_named_in, working_directory
from clbalance.wiring.nothing_fits import nothing_fits

if TYPE_CHECKING:  # for its type alone
    from clbalance.engine.run.values import RunResult


class Cluster:
    """The nodes that work may be placed on, and how to reach them.

    `nodes` and `group` name them as `-w` and `-g` do: node sets such as `gpu[1-4]`, `@gpu&@rack1`, and names of groups.
    Without either: all nodes of ClusterShell's groups, or this machine if none are configured. `exclude` and
    `exclude_group` take nodes out. `user`, `ssh_options`: as `-l` and `-o`. `connect_timeout`, `answer_timeout`:
    seconds for a connection, and for an answer over it; a node that takes longer is silent. `policy`: as `--policy`.

    Settings, groups, environment and the working directory are read once, here. Nothing is connected to, and nothing
    stays open between two calls: there is nothing to close, and one object may be used by many threads at once.
    Ctrl-C during a call ends what that call has begun on nodes. `UsageError` and its kinds for what cannot be meant.
    """

    def __init__(  # noqa: PLR0913 - the options of the command line that select nodes
        self,
        nodes: str | Iterable[str] | None = None,
        *,
        group: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        exclude_group: str | Iterable[str] | None = None,
        user: str | None = None,
        ssh_options: str | Iterable[str] = (),
        connect_timeout: float | None = None,
        answer_timeout: float | None = None,
        groups_conf: str | os.PathLike[str] | None = None,
        policy: str | None = None,
    ) -> None:
        names, groups = _texts(nodes), _texts(group)
        self._ssh_options = _texts(ssh_options)
        selection = Selection(
            nodes=names,
            groups=groups,
            everything=not (names or groups),
            exclude=_texts(exclude),
            exclude_groups=_texts(exclude_group),
        )
        given = {
            "ssh.user": user,
            "ssh.connect_timeout_s": connect_timeout,
            "ssh.probe_timeout_s": answer_timeout,
            "groups_conf": None if groups_conf is None else os.fspath(groups_conf),
        }
        set_here = {key: value for key, value in given.items() if value is not None}
        settings = load_settings(os.environ, working_directory(), set_here)
        self._context = ProgramContext.of(
            settings,
            selection,
            names_nodes=bool(names or groups),
            results=results_named_in(names, groups, selection.exclude, selection.exclude_groups),
            transport=partial(plain_ssh, settings, self._ssh_options),
            group=groups[0] if len(groups) == 1 and not names else None,
            policy=policy,
            policy_given=policy,
        )
        for reason in self._context.candidates.left_out:
            self._context.warn(f"a group is left out of all nodes: {reason}")

    def __repr__(self) -> str:
        return f"<clbalance.Cluster {self.nodes.folded}>"

    @property
    def context(self) -> ProgramContext:
        """For this library alone: it may change with every version."""
        return self._context

    @property
    def nodes(self) -> Nodes:
        """All candidates, in the order of ClusterShell."""
        return Nodes.of(self._context.candidates.nodes)

    def load(self, *, timeout: float | None = None) -> dict[str, NodeLoad]:
        """Ask all nodes for their load. By node name, the least loaded first; a silent node is there, with its reason.

        `TimeoutError` after `timeout` seconds. `TransportError` if no node can be reached from here.
        """
        return carry_out(self._load, timeout=timeout)

    def pick(self, count: int | None = 1, *, timeout: float | None = None, **request: Unpack[Request]) -> Nodes:
        """The `count` best nodes for such jobs, best first; None: all that fit. Nothing is reserved on them.

        `NothingFitsError` if fewer fit, with the reasons; `TimeoutError` after `timeout` seconds.
        """
        return carry_out(partial(self._pick, self._query(request, count)), timeout=timeout)

    def submit(
        self,
        command: str | Sequence[str],
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        time_limit: float | str | None = None,
        queue: bool = False,
        timeout: float | None = None,
        **request: Unpack[Request],
    ) -> Job:
        """Start one job on the best node, and return once it runs, as `clbalance run --detach` does.

        The job goes on without this program. `command`: words to execute, or a text for /bin/sh. `cwd`: its folder;
        without it this one if the node has it, else its home. `time_limit`: seconds, or text such as `2h`, after which
        it is ended. `queue`: if nothing fits, it waits, and `clbalance rebalance` starts it.

        `NothingFitsError` if no node fits, `NotRunError` if none could start it, `TimeoutError` after `timeout`
        seconds: in these cases it does not run.
        """
        words = words_of(command)
        default = "sh" if isinstance(command, str) else os.path.basename(words[0])  # noqa: PTH119 - a name on nodes
        around = Surroundings.of(name=name, default=default, env=env, cwd=cwd, time_limit=time_limit)
        job = new_job(self._context, around, words)
        query = self._query(request, 1, name=job.name)
        number = carry_out(partial(self._submit, job, query, RestartPolicy(queue=queue)), timeout=timeout)
        return self.job(number)

    def job(self, number: int) -> Job:
        """The job with this number, of this user on this host: as `Job.id` and `clbalance jobs` tell it."""
        here = frozenset({this_node()})  # for jobs that have run here, without a cluster
        transport = plain_ssh(self._context.settings, self._ssh_options, here)
        return Job(replace(self._context, transport=transport), number)

    def map(
        self,
        commands: Iterable[str | Sequence[str]],
        *,
        timeout: float | None = None,
        name: str = "map",
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        time_limit: float | str | None = None,
        queue_for: float | str | None = None,
        **request: Unpack[Request],
    ) -> Iterator[Completed]:
        """Run many commands, as many at once as fit, and yield each result in the order of `commands`.

        A command that fails is no exception: its `Completed` has the exit code. `TaskFailedError` for one that was not
        run to its end. When the iterator is closed or fails, what still runs is ended. See `Executor` for more.
        """
        from clbalance.library.task_jobs import in_order, task_bundles

        items = [Item.of(words_of(command)) for command in commands]
        bundles = task_bundles(
            self._context, name=name, env=env, cwd=cwd, time_limit=time_limit, queue_for=queue_for, request=request
        )
        bundles.add(items, are_all=True)
        return in_order([item.future for item in items], timeout, bundles.stop)

    # -- in threads of their own

    def _query(self, request: Request, pick: int | None, name: str = "") -> PlacementQuery:
        if pick is not None and pick < 1:
            raise UsageError(f"`count` cannot be {pick}", hint="a number of nodes, 1 or more; None: all that fit")
        return query_for(self._context, request, pick=pick, name=name)

    def _load(self, stop: Stop) -> dict[str, NodeLoad]:
        from clbalance.engine.sweep import take_snapshot
        from clbalance.render.node_json import node_document
        from clbalance.render.views import least_loaded_first
        from clbalance.wiring.node_rows import node_rows

        context = self._context
        with services_of(context, stop, needs_store=False) as services:
            snapshot = take_snapshot(services, context.candidates.nodes, look_twice=True)
        rows = node_rows(snapshot, context.policy, context.default_cpus)
        return {row.node: NodeLoad.of(node_document(row)) for row in least_loaded_first(rows)}

    def _pick(self, query: PlacementQuery, stop: Stop) -> Nodes:
        from clbalance.engine.place_tried import sweep_and_place_tried

        with services_of(self._context, stop, needs_store=False) as services:
            plan = sweep_and_place_tried(services, query)
        if not plan.fits:
            raise nothing_fits(plan, self._context.candidates, explained=False)
        return Nodes.of(plan.chosen)

    def _submit(self, job: JobSpec, query: PlacementQuery, policy: RestartPolicy, stop: Stop) -> int:
        from clbalance.engine.agent.copies import DETACHED
        from clbalance.engine.agent.listeners import NullListener
        from clbalance.engine.jobs.conclude import accept
        from clbalance.engine.run.run import Run
        from clbalance.engine.run.values import RunContext

        context = self._context
        with services_of(context, stop) as services:
            # A job that cannot be placed gets no number, as with `run --detach`.
            if policy.queue:
                job = submit(services, context, job, query, policy)
            run = RunContext(
                services=services,
                query=query,
                stdin=NoInput(),
                listener=NullListener(),
                mode=DETACHED,
                submit=lambda: submit(services, context, job, query, policy).id,
            )
            result = Run(run, job, policy).carry_out()
            if result.has_started:
                accept(services, result.job.id)
        return self._number_of(result)

    def _number_of(self, result: "RunResult") -> int:
        if result.has_started or result.queued is not None:
            return result.job.id
        if not result.plan.fits:
            raise nothing_fits(result.plan, self._context.candidates, explained=False)
        outcomes = () if result.dispatched is None else result.dispatched.outcomes
        why = "".join(f": {one.node}: {reason_of(one.end)}" for one in outcomes)
        raise NotRunError(f"no node has started the job{why}", hint="`clbalance explain last` shows what was tried")


def _texts(given: str | Iterable[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
