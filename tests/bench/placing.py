"""Figures of the placement itself: no cluster, no connection, one process."""

import random
import string
import time
from collections.abc import Callable, Iterator

from clbalance.nodeset import NodeSets, fold
from clbalance.policy.placement.policies import KINDS
from tests.policy.build import node, placed, sweep

from .figure import Figure, Spread
from .question import Measurement
from .site import Site
from .stale_load import Case, mean_response

_MS = 1000.0
_JOBS = 12_000


def place(site: Site) -> Iterator[Figure]:
    """One placement of one request by `least` on a fresh snapshot of many nodes."""
    rng = random.Random(1)
    for count, limit_ms in ((1_000, None), (10_000, 20.0), (100_000, None)):
        snapshot = sweep(
            *(
                node(f"n{number}", r1m=rng.uniform(0, 4), ut=rng.uniform(0, 100), psi=(rng.uniform(0, 5), 0, 0))
                for number in range(count)
            )
        )
        times = [_timed(lambda snapshot=snapshot: placed(snapshot)) for _ in range(site.rounds)]  # type: ignore[misc]
        spread = Spread.of(times)
        yield Figure(
            name=f"place on {count:,} nodes",
            value=_MS * min(times) if limit_ms else _MS * spread.median,
            unit="ms, the best" if limit_ms else "ms",
            limit=limit_ms,
            ours_s=spread,
            note=f"{1e6 * spread.median / count:.2f} us a node",
        )


def names(site: Site) -> Iterator[Figure]:
    """5,000 names of which no two fold: read, filtered, ranked, folded and printed, against sets of strings."""
    rng = random.Random(2)
    text = ",".join("".join(rng.choices(string.ascii_lowercase, k=9)) for _ in range(5_000))
    load_of = {name: rng.uniform(0, 4) for name in text.split(",")}
    snapshot_of = {name: node(name, r1m=load) for name, load in load_of.items()}

    def ours() -> None:
        read = NodeSets(None).expand(text)
        kept = [name for name in read if load_of[name] < 3.0]
        plan = placed(sweep(*[snapshot_of[name] for name in kept]), pick=10)
        _print(fold(plan.chosen))
        _print(fold(kept))

    def theirs() -> None:
        kept = {name for name in set(text.split(",")) if load_of[name] < 3.0}
        ranked = sorted(kept, key=load_of.__getitem__)
        _print(",".join(ranked[:10]))
        _print(",".join(sorted(kept)))

    pairs = [(_timed(ours), _timed(theirs)) for _ in range(site.rounds)]
    ratios = Spread.of([mine / plain for mine, plain in pairs])
    yield Figure(
        name="5,000 irregular names",
        value=ratios.median,
        unit="times sets of strings",
        limit=10.0,
        ours_s=Spread.of([mine for mine, _ in pairs]),
        theirs_s=Spread.of([plain for _, plain in pairs]),
        ratios=ratios,
    )


def stale(_: Site) -> Iterator[Figure]:
    """Mean response of 32 busy servers under stale load, against live join-shortest-queue."""
    live = mean_response(Case(policy=None), jobs=_JOBS, seed=1)
    cases = [
        (Case(policy="least", age=5.0), 2.2),
        (Case(policy="least", age=5.0, dispatchers=8), 3.2),
        (Case(policy="least", age=5.0, remembers=False), None),
        (Case(policy="least", age=5.0, dispatchers=8, remembers=False), None),
    ]
    by_chance = mean_response(Case(policy="random"), jobs=_JOBS, seed=1) / live
    yield Figure(name="random", value=by_chance, unit="times live JSQ")
    for age in (0.5, 1.0, 2.0, 10.0, 20.0, 50.0, 100.0):
        cases += [(Case(policy="least", age=age, dispatchers=count), by_chance) for count in (1, 8)]
    for case, limit in cases:
        message = "" if case.remembers else ", no debt, no leases"
        yield Figure(
            name=f"age {case.age:g}, {case.dispatchers} dispatchers{message}",
            value=mean_response(case, jobs=_JOBS, seed=1) / live,
            unit="times live JSQ",
            limit=limit,
        )


def policies(site: Site) -> Iterator[Figure]:
    """One placement on 10,000 nodes by each policy."""
    from clbalance.policy.placement.policies import policy_named

    rng = random.Random(3)
    snapshot = sweep(*(node(f"n{number}", r1m=rng.uniform(0, 4)) for number in range(10_000)))
    for name in KINDS:
        policy = policy_named(name)
        times = [_timed(lambda policy=policy: placed(snapshot, policy=policy)) for _ in range(site.rounds)]  # type: ignore[misc]
        yield Figure(name=f"{name} on 10,000 nodes", value=_MS * Spread.of(times).median, unit="ms")


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _print(text: str) -> None:
    with open("/dev/null", "w", encoding="ascii") as nowhere:
        nowhere.write(text)


MEASUREMENTS = (
    Measurement("place", "one placement on 1,000 to 100,000 nodes", place),
    Measurement("policies", "one placement on 10,000 nodes by each policy", policies),
    Measurement("names", "5,000 irregular names, against sets of strings", names),
    Measurement("stale", "what stale load costs, simulated, against live join-shortest-queue", stale),
)
