"""Slurm as an engine: sbatch, squeue, sacct, scontrol and scancel on this host, and the folders of its jobs."""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from clbalance.errors import EngineError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.engine import Accepted, Answer, EngineJob, EngineNode, EngineOrder, Prepared, Refused
from clbalance.model.job_record import End, Exited, JobState, Outcome
from clbalance.model.slurm import SlurmJob
from clbalance.policy.slurm.nodes import why_no_jobs
from clbalance.policy.slurm.options import node_count, pool_of, sbatch_options
from clbalance.policy.slurm.scripts import BATCH
from clbalance.policy.slurm.states import Terms, ends, is_over, job_state, needs_slurm, pending_reason
from clbalance.ports import JobInput
from clbalance.probe.slurm.jobs import (
    SACCT_FORMAT,
    SINFO_FORMAT,
    SQUEUE_FORMAT,
    exit_of_shown,
    sacct_jobs,
    sinfo_nodes,
    squeue_jobs,
)
from clbalance.probe.slurm.nodes import COMMAND, slurm_nodes
from clbalance.transport.slurm.folder import Claim, Exit, JobFolder
from clbalance.transport.slurm.programs import SlurmPrograms, complaint

_REMEMBERED = "now-30days"
"""How far back sacct looks."""
_MOST_NAMES = 1000
_ENDING_S = 0.2
"""How old an answer may be about a job that has written its end: Slurm will say so in a moment."""
_UNKNOWN_NODE = NodeName("slurm")
"""In place of the node of a job that never had one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What is in the folder of a job. `exits`: of each copy, by rank."""

    terms: Terms
    claim: Claim | None
    exits: tuple[Exit | None, ...]

    @property
    def codes(self) -> tuple[int | None, ...]:
        """The exit code of each copy that has written one."""
        return tuple(None if one is None else one.rc for one in self.exits)

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """Empty before it has begun."""
        return () if self.claim is None else self.claim.nodes

    def outcome(self, rank: int, end: End, nodes: Sequence[NodeName], ended_at_s: float) -> Outcome:
        """Of the copy of that rank. `ended_at_s`: if it has not written itself when it ended."""
        mine = self.exits[rank]
        at_s = ended_at_s if mine is None else mine.at_s
        seconds = 0.0 if self.claim is None else max(0.0, at_s - self.claim.began_at_s)
        node = nodes[rank] if rank < len(nodes) else _UNKNOWN_NODE
        return Outcome(node=node, rank=rank, end=end, seconds=seconds)


class SlurmEngine:
    """`ports.engine.Engine`. `folder`: on a file system that this host shares with Slurm's nodes. `environ`: ours."""

    name = "slurm"

    def __init__(self, folder: Path, *, answer_within_s: float, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._programs = SlurmPrograms(answer_within_s, environ)
        self._asked_at = 0.0
        self._asked_for: frozenset[str] = frozenset()
        self._jobs: dict[str, SlurmJob] = {}

    def prepare(self, order: EngineOrder, stdin: JobInput) -> Prepared | Refused:
        pool = pool_of(order, self.nodes())
        if isinstance(pool, Refused):
            return pool
        folder = self._of(order.name)
        folder.lay_out(order, stdin, copies=node_count(order, pool))
        words = (*sbatch_options(order, pool, str(folder.path)), f"{folder.path}/{BATCH}")
        return Prepared(name=order.name, words=words)

    def submit(self, prepared: Prepared, *, keep_open: Collection[int] = ()) -> Answer:
        try:
            said = self._programs.submit("sbatch", *prepared.words, keep_open=keep_open)
            number = said.stdout.strip().partition(";")[0]
            if said.rc == 0 and number.isdecimal():
                return Accepted(number)
            why = complaint("sbatch", said)
        except EngineError as error:
            why = error.message
        return self._accepted_all_the_same(prepared.name) or self._refused(prepared.name, why)

    def _accepted_all_the_same(self, name: str) -> Accepted | None:
        """An answer may be lost on its way, and the job be there."""
        with suppress(EngineError):
            found = self.look_up([name]).get(name)
            return None if found is None else Accepted(found.id)
        return None

    def _refused(self, name: str, why: str) -> Answer:
        """The job's claim is ours now, so it never starts, even if it comes into Slurm's queue yet."""
        if self.withdraw(name):
            return Refused(why)
        claim = self._of(name).claim()
        if claim is None:
            raise EngineError(why)
        return Accepted(claim.id)

    def look_up(self, names: Collection[str], *, max_age_s: float = 0.0) -> Mapping[str, EngineJob]:
        written = {name: self._written(name) for name in names}
        asked_for = {name for name, one in written.items() if needs_slurm(one.codes)}
        has_ended = any(None not in written[name].codes for name in asked_for)
        known = self._known(asked_for, _ENDING_S if has_ended else max_age_s) if asked_for else {}
        for name in asked_for:
            if name not in known or is_over(known[name].state):
                written[name] = self._written(name)  # it may have begun and ended since we looked
        found = {name: _job(name, written[name], self._with_exit(known.get(name), written[name])) for name in names}
        return {name: job for name, job in found.items() if job is not None}

    def _known(self, names: Collection[str], max_age_s: float) -> Mapping[str, SlurmJob]:
        """What Slurm says of these jobs. An answer that is young enough is used again."""
        now = time.monotonic()
        if now - self._asked_at > max_age_s or not self._asked_for.issuperset(names):
            argv = ("squeue", "--noheader", "--states=all", *_filters(names), f"--format={SQUEUE_FORMAT}")
            text = self._programs.ask(*argv)
            self._jobs = {job.name: job for job in squeue_jobs(text)}
            self._jobs |= self._remembered([name for name in names if name not in self._jobs])
            self._asked_at, self._asked_for = now, frozenset(names)
        return self._jobs

    def _remembered(self, names: Collection[str]) -> dict[str, SlurmJob]:
        """What Slurm's accounting says of jobs that its controller has forgotten. Many clusters have none."""
        filters = (*_filters(names), f"--starttime={_REMEMBERED}")
        argv = ("sacct", "--noheader", "--parsable2", "--allocations", *filters, f"--format={SACCT_FORMAT}")
        with suppress(EngineError):
            return {job.name: job for job in sacct_jobs(self._programs.ask(*argv))} if names else {}
        return {}

    def _with_exit(self, known: SlurmJob | None, written: _Written) -> SlurmJob | None:
        """With the exit code that Slurm has of a job that is over and has not written one itself."""
        if known is None or not is_over(known.state) or known.rc is not None or None not in written.codes:
            return known
        with suppress(EngineError):
            rc, number = exit_of_shown(self._programs.ask("scontrol", "--oneliner", "show", "job", known.id))
            return replace(known, rc=rc, signal=number)
        return known

    def withdraw(self, name: str) -> bool:
        return self._of(name).withdraw()

    def cancel(self, name: str) -> None:
        self._scancel(name)

    def signal(self, name: str, number: int) -> None:
        # The payload of one copy is in the batch step; those of several have a step beside it.
        of_batch = ("--full",) if self._of(name).terms().copies == 1 else ()
        self._scancel(name, f"--signal={number}", *of_batch)

    def _scancel(self, name: str, *options: str) -> None:
        said = self._programs.call("scancel", f"--name={name}", f"--user={os.geteuid()}", *options)
        if said.rc != 0:
            raise EngineError(f"Slurm neither ends nor signals the job: {complaint('scancel', said)}")

    def output(self, name: str, rank: int, stream: str, offset: int) -> bytes:
        return self._of(name).read(rank, stream, offset)

    def nodes(self) -> tuple[EngineNode, ...]:
        """Each with its partitions, the default one first."""
        states = {one.node: one for one in slurm_nodes(self._programs.ask(*COMMAND.split()))}
        pools: dict[NodeName, list[str]] = {}
        listed = self._programs.ask("sinfo", "--Node", "--noheader", f"--format={SINFO_FORMAT}")
        for node, partition, _ in sinfo_nodes(listed):
            of_node = pools.setdefault(node, [])
            of_node.insert(0 if partition.endswith("*") else len(of_node), partition.removesuffix("*"))
        return tuple(
            EngineNode(
                node=node,
                pools=tuple(of_node),
                reason=why_no_jobs(states.get(node)),
            )
            for node, of_node in pools.items()
        )

    def drain(self, nodes: Collection[NodeName], reason: str) -> str:
        return self._update(nodes, "state=drain", f"reason={reason}")

    def resume(self, nodes: Collection[NodeName]) -> str:
        return self._update(nodes, "state=resume")

    def _update(self, nodes: Collection[NodeName], *changes: str) -> str:
        """Why Slurm has not changed these nodes; empty: it has."""
        said = self._programs.call("scontrol", "update", f"nodename={','.join(nodes)}", *changes)
        return complaint("scontrol", said) if said.rc else ""

    def _of(self, name: str) -> JobFolder:
        return JobFolder(self._folder / name)

    def _written(self, name: str) -> _Written:
        folder = self._of(name)
        folder.refresh()
        terms = folder.terms()
        exits = tuple(folder.exit_of(rank) for rank in range(terms.copies))
        return _Written(terms=terms, claim=folder.claim(), exits=exits)


def _filters(names: Collection[str]) -> tuple[str, ...]:
    """For squeue and sacct. So many names that they do not fit into one word are not named: all our jobs are shown."""
    user = f"--user={os.geteuid()}"
    return (user,) if len(names) > _MOST_NAMES else (user, f"--name={','.join(sorted(names))}")


def _job(name: str, written: _Written, known: SlurmJob | None) -> EngineJob | None:
    """The job, by what it has written and by what Slurm says of it. None: nobody knows it."""
    nodes = written.nodes or (known.nodes if known is not None else ())
    number = written.claim.id if written.claim is not None else known.id if known is not None else ""
    state, reason, is_forgotten = JobState.RUNNING, "", False
    ended: tuple[End, ...] = ()
    if not needs_slurm(written.codes) or (known is None and None not in written.codes):
        ended = tuple(Exited(rc=rc) for rc in written.codes if rc is not None)
    elif known is None and written.claim is None:
        return None
    elif known is None:
        is_forgotten = True
    elif is_over(known.state):
        ended = ends(known, written.codes, written.terms, has_claim=written.claim is not None)
    elif job_state(known.state) is JobState.PENDING:
        state, reason, nodes = JobState.PENDING, pending_reason(known), ()
    began_at_s = 0.0 if known is None or state is JobState.PENDING else _seconds(known.began_at)
    ended_at_s = 0.0 if known is None else _seconds(known.ended_at)
    return EngineJob(
        name=name,
        id=number,
        state=state,
        reason=reason,
        nodes=nodes,
        began_at_s=written.claim.began_at_s if written.claim is not None else began_at_s or None,
        is_forgotten=is_forgotten,
        outcomes=tuple(written.outcome(rank, end, nodes, ended_at_s) for rank, end in enumerate(ended)),
    )


def _seconds(text: str) -> float:
    """Seconds since 1970 of a time as Slurm prints it, which is that of this host; 0 for none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
