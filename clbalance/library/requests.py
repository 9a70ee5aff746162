"""The request of a job or a task, as keyword arguments with the names of the options of `clbalance run`."""

from collections.abc import Sequence
from typing import TypedDict

from clbalance.engine.services import PlacementQuery
from clbalance.lazy_dataclass import dataclass
from clbalance.wiring.context import Context
from clbalance.wiring.requests import constraints_of, resources_of


class Request(TypedDict, total=False):
    """What each job or task needs of its node. Sizes are text such as `20G`, in powers of 1024.

    `cpus` (default 1; 0 on this machine without a cluster), `mem`, `tmp`, `gpus`, `gpu_share` (0 to 1, of one GPU),
    `gpu_mem`, `slots`, `exclusive`, `limit_cpus`, `limit_mem`: resources. `where`, `order`, `tolerate`, `prefer`,
    `near`, `apart`, `same`: constraints. `ask_all`: ask all nodes, also where a few of many would do. An error names
    the option: `--gpu-mem` is `gpu_mem`.
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
    asked = _Asked(**request)
    return context.query(pick=pick, resources=resources_of(asked), constraints=constraints_of(asked), name=name)
