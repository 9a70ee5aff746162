"""Jobs that are moved about, and what must be true of each of them at every moment."""

import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import is_queued
from clbalance.ports import Journal
from clbalance.store.state import SqliteStore
from tests.cli.command import Command
from tests.cli.held_jobs import detached
from tests.cli.migrations import KINDS, is_held, keepers
from tests.waiting import eventually

from .holding import leases_held

HANDS = {"nobody": ("--queue",), "keeper": ("--notify", "true")}
"""Who has a detached job in hand when it has been started."""
_STRANGERS = 3.5  # moves jobs of one cpu off a node of four, and still lets one in


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A job in a folder of its own, where its process holds a lock, and writes `twice` where another one has it."""

    number: int
    folder: Path
    terminal: "subprocess.Popen[bytes] | None"

    @property
    def starts(self) -> list[list[str]]:
        """The node of each, and how often the job had been started before."""
        return [line.split()[:2] for line in (self.folder / "diary").read_text().splitlines()]


class Herd:
    """So many jobs all the time. One that has been on every node but one makes room for another, for it goes nowhere."""

    def __init__(
        self,
        lab: Lab,
        clbalance: Command,
        chance: random.Random,
        nodes: Sequence[str],
        controller: Sequence[str],
        size: int,
    ) -> None:
        self.jobs: list[Marked] = []
        self.ended: list[Marked] = []
        self._lab = lab
        self._clbalance = clbalance
        self._chance = chance
        self._nodes = nodes
        self._control = controller
        self._size = size
        self.renew()

    # -- what is written down, asking no node ----------------------------------------------------

    @contextmanager
    def _journal(self) -> Iterator[Journal]:
        (database,) = Path(self._clbalance.env["CLBALANCE_STATE_DIR"]).rglob("state.db")
        with SqliteStore.open(database.parent) as store, closing(store.journal()) as journal:
            yield journal

    def record(self, one: Marked) -> JobRecord:
        with self._journal() as journal:
            found = journal.record(one.number)
        assert found is not None
        return found

    def waiting(self) -> list[JobRecord]:
        """Those that do not run."""
        return [record for one in self.jobs if (record := self.record(one)).state is not JobState.RUNNING]

    def words(self) -> list[object]:
        """Of their attempts and their moves: one changes with every step of a move."""
        with self._journal() as journal:
            found = [(journal.record(one.number), journal.migration_request_of(one.number)) for one in self.jobs]
        return [(record.attempt, record.state, order) for record, order in found if record is not None]

    # -- what is done ------------------------------------------------------------------------------

    def push(self) -> None:
        """Strangers come to half of the nodes where the jobs are, and leave the others."""
        taken = sorted({node for one in self.jobs for node in self.record(one).nodes})
        pushed = self._chance.sample(taken, (min(len(taken), len(self._nodes) - 1) + 1) // 2)
        for node in self._lab.nodes:
            node.load(r1m=_STRANGERS if node.name in pushed else 0.0)

    def renew(self) -> None:
        for one in tuple(self.jobs):
            if len({node for node, _ in one.starts}) >= len(self._nodes) - 1:
                self._end(one)
        for node in self._lab.nodes:
            node.load(r1m=0.0)
        while len(self.jobs) < self._size:
            self._submit()

    def end(self) -> None:
        for one in tuple(self.jobs):
            self._end(one)

    def controllers(self) -> list[int]:
        """Whoever has a job in hand just now."""
        return keepers(self._clbalance)

    # -- what must be true -------------------------------------------------------------------------

    def none_ran_twice(self) -> None:
        for one in self.jobs:
            assert not (one.folder / "twice").exists(), (one.number, one.starts)
            counts = [int(count) for _, count in one.starts]
            assert counts == sorted(set(counts)), (one.number, one.starts)

    def none_is_lost(self) -> None:
        """Each runs and is known to run, or waits and is known to wait, once somebody has looked."""
        eventually(lambda: self._clbalance("jobs", "-q").rc == 0 and not self._misplaced())

    def all_run(self) -> None:
        """Each in one place, and nothing else does."""
        for one in self.jobs:
            record = self.record(one)
            assert (record.state, is_held(one.folder)) == (JobState.RUNNING, True), (record, one.starts)
        promised = {node.name: len(leases_held(node)) for node in self._lab.nodes}
        assert sum(promised.values()) == len(self.jobs), promised

    def _misplaced(self) -> list[JobRecord]:
        found = []
        for one in self.jobs:
            record = self.record(one)
            assert not record.state.is_over, (record, one.starts)
            is_well = record.state is JobState.RUNNING if is_held(one.folder) else is_queued(record)
            if not is_well:
                found.append(record)
        return found

    # -- each job --------------------------------------------------------------------------------------

    def _submit(self) -> None:
        clbalance, number = self._clbalance, len(self.jobs) + len(self.ended) + 1
        folder = clbalance.folder / f"job{number}"
        folder.mkdir()
        kind = KINDS[self._chance.choice(sorted(KINDS))]
        words = ("-q", "-w", ",".join(self._nodes), "--cpus", "1", "--chdir", str(folder), *kind)
        controller, terminal = self._control[number % len(self._control)], None
        if controller == "terminal":
            terminal = clbalance.start("run", *words)
        else:
            detached(clbalance, *HANDS[controller], *words)
        one = Marked(number=number, folder=folder, terminal=terminal)
        eventually((folder / "diary").exists)
        eventually(lambda: self.record(one).state is JobState.RUNNING)
        self.jobs.append(one)

    def _end(self, one: Marked) -> None:
        (one.folder / "go").touch()
        done = self._clbalance("wait", str(one.number))
        assert done.rc == 7, (done, self.record(one), one.starts)
        assert not (one.folder / "twice").exists()
        self.jobs.remove(one)
        self.ended.append(one)
