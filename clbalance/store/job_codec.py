"""Our frozen values as JSON text and back, without a library that would cost a start 40 ms.

A value is an object that names its class; tuples are lists. A field that a later version has added is an error, one
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
    one.__name__: one
    for one in (
        jobs.Cancelled,
        jobs.Checkpoint,
        jobs.Command,
        jobs.Exited,
        jobs.JobSpec,
        jobs.Killed,
        jobs.Lost,
        jobs.NodeFailed,
        jobs.NotStarted,
        jobs.OutOfMemory,
        jobs.Outcome,
        jobs.Script,
        jobs.Submitted,
        jobs.TimedOut,
        jobs.TaskRules,
        jobs.Tries,
        Constraints,
        MoveOrder,
        Preference,
        Request,
        Score,
        Term,
        Unfit,
    )
}
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
    if is_dataclass(value):
        return {"is": type(value).__name__, **{one.name: _packed(getattr(value, one.name)) for one in fields(value)}}
    match value:
        case Cause():
            return {"cause": value.name}
        case MoveStage():
            return {"stage": value.name}
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
            return _CLASSES[name](**{str(field): _unpacked(one) for field, one in rest.items()})
        case {"cause": name}:
            return Cause[name]
        case {"stage": name}:
            return MoveStage[name]
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
