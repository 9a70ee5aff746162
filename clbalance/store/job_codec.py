"""Our frozen values as JSON text and back, without a library that would cost a start 40 ms.

A value is an object that names its class; tuples are lists. The names are those of the file format, and stay when a
class or a field of the code is called otherwise. A field that a later version has added is an error, one
that an earlier version did not have takes its default.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from clbalance import job as jobs
from clbalance.constraints import Constraints, Preference
from clbalance.errors import StoreError
from clbalance.model import Cause, Request, Score, Term, Unfit
from clbalance.moves import MoveOrder, MoveStage

_CLASSES: dict[str, type] = {
    "Cancelled": jobs.Cancelled,
    "Checkpoint": jobs.Checkpoint,
    "Command": jobs.Command,
    "Constraints": Constraints,
    "Exited": jobs.Exited,
    "JobSpec": jobs.JobSpec,
    "Killed": jobs.Killed,
    "Lost": jobs.Lost,
    "MoveOrder": MoveOrder,
    "NodeFailed": jobs.NodeFailed,
    "NotStarted": jobs.NotStarted,
    "OutOfMemory": jobs.OutOfMemory,
    "Outcome": jobs.Outcome,
    "Preference": Preference,
    "Request": Request,
    "Score": Score,
    "Script": jobs.Script,
    "Submitted": jobs.Submitted,
    "TaskRules": jobs.TaskRules,
    "Term": Term,
    "TimedOut": jobs.TimedOut,
    "Tries": jobs.Tries,
    "Unfit": Unfit,
}
"""By their names in the file, which are not those of the code: a released program reads what this one writes."""
_NAMES = {kind: name for name, kind in _CLASSES.items()}
_FIELDS: dict[str, dict[str, str]] = {}
"""Fields whose name in the file is another than in the code, by the class's name in the file."""
_ATTRIBUTES = {name: {written: field for field, written in known.items()} for name, known in _FIELDS.items()}
_STAGES = {"ASKED": MoveStage.ASKED, "MEANT": MoveStage.MEANT, "OFF": MoveStage.OFF}
_STAGE_NAMES = {stage: name for name, stage in _STAGES.items()}
_Value = TypeVar("_Value")


def to_text(value: object) -> str:
    """`value` as ASCII."""
    return json.dumps(_packed(value), separators=(",", ":"))


def from_text(text: object, kind: type[_Value]) -> _Value:
    """The value in `text`; `StoreError` where it is none of that kind."""
    try:
        value = _unpacked(json.loads(text))  # type: ignore[arg-type]  # what is no text fails as what is no JSON
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise StoreError(f"a remembered {kind.__name__} cannot be read: {error}") from error
    if not isinstance(value, kind):
        raise StoreError(f"a remembered {kind.__name__} cannot be read: it is a {type(value).__name__}")
    return value


def _packed(value: object) -> object:  # noqa: PLR0911 - one return for each kind of value
    if is_dataclass(value) and not isinstance(value, type):
        name = _NAMES[type(value)]
        written = _FIELDS.get(name, {})
        content = {written.get(one.name, one.name): _packed(getattr(value, one.name)) for one in fields(value)}
        return {"is": name, **content}
    match value:
        case Cause():
            return {"cause": value.name}
        case MoveStage():
            return {"stage": _STAGE_NAMES[value]}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case frozenset():
            return {"set": [_packed(one) for one in sorted(value)]}
        case tuple() | list():
            return [_packed(one) for one in value]
        case Mapping():
            return {"map": {str(key): _packed(one) for key, one in value.items()}}
        case _:
            return value


def _unpacked(packed: Any) -> object:  # noqa: PLR0911 - one return for each kind of value
    match packed:
        case list():
            return tuple(_unpacked(one) for one in packed)
        case {"is": str() as name, **rest}:
            known = _ATTRIBUTES.get(name, {})
            return _CLASSES[name](**{known.get(str(field), str(field)): _unpacked(one) for field, one in rest.items()})
        case {"cause": name}:
            return Cause[name]
        case {"stage": name}:
            return _STAGES[name]
        case {"bytes": text}:
            return base64.b64decode(text, validate=True)
        case {"set": [*members]}:
            return frozenset(_unpacked(one) for one in members)
        case {"map": dict() as content}:
            return {key: _unpacked(one) for key, one in content.items()}
        case dict():
            raise ValueError(f"an object with {', '.join(sorted(packed)[:3])}")
        case _:
            return packed
