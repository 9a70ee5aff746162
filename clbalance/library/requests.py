"""The request of a job or a task, as keyword arguments with the names of the options of `clbalance run`."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from clbalance.engine.services import PlacementQuery
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.near_words import did_you_mean
from clbalance.wiring.context import Context
from clbalance.wiring.requests import constraints_of, resources_of


class Request(TypedDict, total=False):
    """What each job or task needs of its node. Sizes are text such as `20G`, in powers of 1024.

    `cpus` (default 1; 0 on this machine without a cluster), `mem`, `tmp`, `gpus`, `gpu_share` (0 to 1, of one GPU),
    `gpu_mem`, `slots`, `exclusive`, `limit_cpus`, `limit_mem`: resources. `where`, `order`, `tolerate`, `prefer`,
    `near`, `apart`, `same`: constraints; one text instead of a list is one of them. `ask_all`: ask all nodes, also
    where a few of many would do. None is the default. An error names the option: `--gpu-mem` is `gpu_mem`.
    """

    cpus: float
    mem: str
    tmp: str
    gpus: int
    gpu_share: float
    gpu_mem: str
    slots: int
    exclusive: bool
    limit_cpus: float
    limit_mem: str
    where: str
    order: str
    tolerate: Sequence[str]
    prefer: Sequence[str]
    near: Sequence[str]
    apart: Sequence[str]
    same: str
    ask_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The same with defaults: `AskedResources` and `AskedConstraints`."""

    cpus: float | None = None
    mem: str | None = None
    tmp: str | None = None
    gpus: int = 0
    gpu_share: float | None = None
    gpu_mem: str | None = None
    slots: int = 1
    exclusive: bool = False
    limit_cpus: float | None = None
    limit_mem: str | None = None
    where: str | None = None
    order: str | None = None
    tolerate: Sequence[str] | None = None
    force: bool = False
    prefer: Sequence[str] | None = None
    near: Sequence[str] | None = None
    apart: Sequence[str] | None = None
    same: str | None = None
    ask_all: bool = False


def query_for(context: Context, request: Request, *, pick: int | None, name: str = "") -> PlacementQuery:
    """The query for `pick` copies; None: on all nodes that fit. `UsageError` for values that are not possible."""
    given = {key: _checked(key, value) for key, value in request.items() if value is not None}
    asked = _Asked(**given)
    return context.query(pick=pick, resources=resources_of(asked), constraints=constraints_of(asked), name=name)


_KINDS: Mapping[Any, tuple[type, str]] = {
    # numbers of other libraries, such as numpy's, are numbers
    float: (numbers.Real, "a number"),
    int: (numbers.Integral, "a whole number"),
    str: (str, "text; sizes are such as `20G`"),
    bool: (bool, "True or False"),
}


def _checked(name: str, value: object) -> Any:
    """The value; a text for a list is its one element. `UsageError` for an unknown name, and for another type."""
    kinds = Request.__annotations__
    if name not in kinds:
        raise UsageError(f"a request has no `{name}`", hint=did_you_mean(name, kinds, f"it has {', '.join(kinds)}"))
    if kinds[name] not in _KINDS:
        return (value,) if isinstance(value, str) else value
    kind, words = _KINDS[kinds[name]]
    if not isinstance(value, kind):
        raise UsageError(f"`{name}` cannot be {value!r:.40}", hint=words)
    return kinds[name](value)
