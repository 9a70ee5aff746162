"""Whether a node is what the user asked for, however loaded it is: taints, `--where`, `--near`, `--apart`, `--same`.

What is not known makes a node unfit with that reason, whichever way round it was asked.
"""

from collections.abc import Callable, Iterator

from clbalance.model import Promise, Request, Unknown
from clbalance.policy.capacity import Lack
from clbalance.policy.effective import Load


def unsuited(load: Load, request: Request) -> Lack | None:
    """The first thing that speaks against the node; None: it is what was asked for."""
    return next((found for find in _LACKS if (found := find(load, request))), None)


def _tainted(load: Load, request: Request) -> Lack | None:
    taints = load.answer.taints
    if not taints or taints <= request.constraints.tolerated:
        return None
    told = ", ".join(sorted(taints - request.constraints.tolerated))
    return Lack(filter="taints", reason=f"tainted {told}", detail=f"`--tolerate {told.partition(',')[0]}` allows it")


def _where(load: Load, request: Request) -> Lack | None:
    if not request.constraints.where:
        return None
    from clbalance.policy.expressions.where import parse_where  # few use it

    unmet = parse_where(request.constraints.where).unmet(load.answer)
    return None if unmet is None else Lack(filter="where", reason=unmet.reason, detail=unmet.detail)


def _near(load: Load, request: Request) -> Lack | None:
    for name in request.constraints.near:
        if isinstance(load.answer.reading.leases, Unknown):
            return Lack(
                filter="near", reason=f"job {name} there or not is unknown", detail=load.answer.reading.leases.why
            )
        if all(promise.name != name for _, promise in _promises(load)):
            return Lack(filter="near", reason=f"no job {name} there", detail="")
    return None


def _apart(load: Load, request: Request) -> Lack | None:
    for name in request.constraints.apart:
        if isinstance(load.answer.reading.leases, Unknown):
            return Lack(
                filter="apart", reason=f"job {name} there or not is unknown", detail=load.answer.reading.leases.why
            )
        whose = next((whose for whose, promise in _promises(load) if promise.name == name), None)
        if whose is not None:
            return Lack(filter="apart", reason=f"job {name} is there", detail=whose)
        unread = next(
            (lease.promise.why for lease in load.answer.reading.leases if isinstance(lease.promise, Unknown)), None
        )
        if unread is not None:
            return Lack(filter="apart", reason=f"job {name} there or not is unknown", detail=unread)
    return None


def _promises(load: Load) -> Iterator[tuple[str, Promise]]:
    """Whose they are, and what they say."""
    leases = load.answer.reading.leases
    for lease in () if isinstance(leases, Unknown) else leases:
        if isinstance(lease.promise, Promise):
            yield f"of uid {lease.uid}", lease.promise
    for promise in load.answer.placed:
        yield "placed a moment ago", promise


def _unlabelled(load: Load, request: Request) -> Lack | None:
    label = request.constraints.same
    if not label or label in load.answer.labels:
        return None
    return Lack(filter="same", reason=f"no label {label}", detail="")


_LACKS: tuple[Callable[[Load, Request], Lack | None], ...] = (_tainted, _where, _near, _apart, _unlabelled)
