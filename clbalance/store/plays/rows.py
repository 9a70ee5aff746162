"""Convert rows of the play tables to values and back."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import (
    MOST_OUTPUT_BYTES,
    NodeState,
    PlayRun,
    Result,
    RunState,
    StepEnded,
    StepList,
    StepRecord,
    StepState,
)
from clbalance.store.database import storable

GONE: Final = "its process is gone"
RUN_COLUMNS: Final = (
    "id, playbook, file, text_hash, typed, by, submit_host, started_us, since_us, ended_us, state, reason,"
    " controller, pid, continued, rolls_back"
)
STEP_COLUMNS: Final = "node, list, step, attempt, begun_us, ended_us, state, changed, rc, reason"
_MOST_REASON: Final = 2000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What only one run that is looked at needs: long columns, and rows of other tables."""

    text: str = ""
    pool: str = "[]"
    nodes: tuple[NodeName, ...] = ()


def play_run(row: Sequence[Any], is_alive: Callable[[str | None], bool], texts: Texts) -> PlayRun:
    """Convert a row of `RUN_COLUMNS`. A run whose process is gone is `INTERRUPTED`. `StoreError` if it is invalid."""
    number, playbook, file, text_hash, typed, by, host, started, since, ended, state, reason, *others = row
    controller, pid, more, rolls_back = others
    is_dead = state == RunState.RUNNING and not is_alive(controller)
    try:
        return PlayRun(
            number=number,
            playbook=playbook,
            file=file,
            text=texts.text,
            text_hash=text_hash,
            typed={str(name): str(value) for name, value in json.loads(typed).items()},
            by=by,
            submit_host=host,
            started_at=_time(started),
            ended_at=None if ended is None else _time(ended),
            state=RunState.INTERRUPTED if is_dead else RunState(state),
            reason=GONE if is_dead else reason,
            nodes=texts.nodes,
            pool=tuple(NodeName(str(name)) for name in json.loads(texts.pool)),
            pid=None if is_dead else pid,
            since=_time(since),
            continued=more,
            rolls_back=rolls_back,
        )
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise StoreError(f"run {number} was written by another version, or is damaged: {error}") from error


def node_state(value: str) -> NodeState:
    """A recorded state. `StoreError` for one that this version does not know."""
    try:
        return NodeState(value)
    except ValueError as error:
        raise StoreError(f"a remembered state of a node is unknown: {value!r}") from error


def step_record(row: Sequence[Any], out: str = "", err: str = "") -> StepRecord:
    """Convert a row of `STEP_COLUMNS`. `StoreError` if it is invalid."""
    node, steps, index, attempt, begun, ended, state, changed, rc, reason = row
    try:
        end = None
        if state is not None:
            result = None if rc is None else Result(rc=rc, out=out, err=err)
            end = StepEnded(state=StepState(state), reason=reason, result=result, changed=bool(changed))
        return StepRecord(
            node=NodeName(node),
            steps=StepList(steps),
            index=index,
            attempt=attempt,
            begun_at=_time(begun),
            ended=end,
            ended_at=None if ended is None else _time(ended),
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"a remembered step of {node} cannot be read: {error}") from error


def ended_values(ended: StepEnded) -> tuple[str, bool, int | None, str, str, str]:
    """State, changed, rc, reason, out and err of a step's end, bounded."""
    result = ended.result
    rc, out, err = (None, "", "") if result is None else (result.rc, bounded(result.out), bounded(result.err))
    return ended.state.value, ended.changed, rc, bounded_reason(ended.reason), out, err


def bounded(text: str) -> str:
    """The beginning of a text that a node has sent, as the database can keep it."""
    return storable(text).encode()[:MOST_OUTPUT_BYTES].decode(errors="ignore")


def bounded_reason(text: str) -> str:
    """A reason, which is one line."""
    return storable(text)[:_MOST_REASON]


def names_text(names: Sequence[NodeName]) -> str:
    """Names as JSON."""
    return json.dumps(list(names), separators=(",", ":"))


def variables_text(variables: Mapping[str, str]) -> str:
    """Variables as JSON."""
    return json.dumps(dict(variables), separators=(",", ":"))


def _time(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
