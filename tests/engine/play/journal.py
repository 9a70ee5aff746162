"""The record of runs in memory. `tests/store/plays/test_contract.py` holds it to what `ports.PlayJournal` promises."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from clbalance.errors import LockedError, StoreError
from clbalance.model import NodeName
from clbalance.model.play_run import (
    NodeChanged,
    NodeProgress,
    NodeState,
    PlayEvent,
    PlayRun,
    RunState,
    StepEnded,
    StepRecord,
    StepState,
)


@dataclass
class Recorded:
    """One run. `holder`: the process that has it."""

    run: PlayRun
    holder: "InMemoryPlays | None"
    states: dict[NodeName, NodeChanged]
    records: dict[NodeName, list[StepRecord]]


@dataclass
class InMemoryPlays:
    """`ports.PlayJournal` as one process of a host has it. `runs`: of the host, which its processes share."""

    runs: dict[int, Recorded] = field(default_factory=dict)
    events: list[PlayEvent] = field(default_factory=list)
    ends: list[tuple[RunState, str]] = field(default_factory=list)

    def close(self) -> None:
        """The process is gone."""
        for one in self.runs.values():
            if one.holder is self:
                one.holder = None

    def begin(self, run: PlayRun) -> int:
        self._refuse_second(run.file)
        number = len(self.runs) + 1
        self.runs[number] = Recorded(
            run=replace(run, number=number),
            holder=self,
            states={node: NodeChanged(node=node, state=NodeState.NOT_STARTED) for node in run.nodes},
            records={node: [] for node in run.nodes},
        )
        return number

    def go_on(self, number: int, at: datetime, text: str, text_hash: str) -> PlayRun:
        if number not in self.runs:
            raise StoreError(f"there is no run {number}")
        recorded = self.runs[number]
        self._refuse_second(recorded.run.file)
        before, recorded.holder = recorded.run, self
        recorded.run = replace(before, state=RunState.RUNNING, text=text, text_hash=text_hash)
        return before if before.state is not RunState.RUNNING else replace(before, state=RunState.INTERRUPTED)

    def start_turn(self, number: int, node: NodeName) -> int | None:
        for other, one in self.runs.items():
            has_turn = node in one.states and one.states[node].state is NodeState.RUNNING
            if other != number and one.holder is not None and has_turn:
                return other
        self.write(number, NodeChanged(node=node, state=NodeState.RUNNING))
        return None

    def write(self, number: int, event: PlayEvent) -> None:
        self.events.append(event)
        if isinstance(event, NodeChanged):
            self.runs[number].states[event.node] = event
            return
        records = self.runs[number].records[event.node]
        if event.ended is not None or (records and _is_refused(records[-1], event)):
            records.pop()
        records.append(event)

    def end(self, number: int, at: datetime, state: RunState, reason: str) -> None:
        self.ends.append((state, reason))
        recorded = self.runs[number]
        recorded.run, recorded.holder = replace(recorded.run, state=state, reason=reason, ended_at=at), None

    def progress(self, number: int, *, output: bool = True) -> Sequence[NodeProgress]:
        recorded = self.runs[number]
        return tuple(
            NodeProgress(
                node=node,
                state=changed.state,
                reason=changed.reason,
                rolled_back=changed.rolled_back,
                records=tuple(one if output else _without_text(one) for one in recorded.records[node]),
            )
            for node, changed in recorded.states.items()
        )

    def _refuse_second(self, file: str) -> None:
        for number, one in self.runs.items():
            if one.run.file == file and one.holder is not None:
                raise LockedError(f"`{file}` is being run already: run {number}")


def _is_refused(last: StepRecord, begun: StepRecord) -> bool:
    is_same = (last.steps, last.index) == (begun.steps, begun.index)
    return is_same and last.ended is not None and last.ended.state is StepState.REFUSED


def _without_text(record: StepRecord) -> StepRecord:
    ended = record.ended
    if ended is None or ended.result is None:
        return record
    return replace(record, ended=_ended_without_text(ended))


def _ended_without_text(ended: StepEnded) -> StepEnded:
    assert ended.result is not None
    return replace(ended, result=replace(ended.result, out="", err=""))
