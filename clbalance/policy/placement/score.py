"""Score: how good a node is for a request, as terms of 0…100 points and their weighted mean. Pure.

An unknown term counts as the node's lowest known term about its load, so an unknown value never helps a node.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request, Score, Term, Unknown
from clbalance.model.request import Preference
from clbalance.policy.indices import readers
from clbalance.policy.indices.samples import R1M_PER_CPU
from clbalance.policy.placement.fragmentation import Fragmentation, fragmentation_of
from clbalance.policy.placement.gpu_choice import growth
from clbalance.policy.placement.gpu_rank import gpu_points, gpu_text
from clbalance.policy.placement.load import NodeLoad
from clbalance.policy.placement.policies import Policy
from clbalance.policy.site.rules import SiteScorer
from clbalance.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """One term: how to read its number, the points for that number, and its text for people."""

    name: str
    read: Callable[[NodeLoad, Request], float | Unknown]
    points: Callable[[float], float]
    message: Callable[[NodeLoad, Request, float], str]


Weighed: TypeAlias = Sequence[tuple[Scorer, float]]
"""Scorers with weights, from `scorers_of`."""


def score(load: NodeLoad, request: Request, weighed: Weighed, first: tuple[Term, ...] = ()) -> Score:
    """The score of one node, with the source of each term. `first`: terms without weight, shown before the rest."""
    values = [scorer.read(load, request) for scorer, _ in weighed]
    all_points = _points(values, weighed)
    terms = [
        _term(scorer, weight, points, load, request, value)
        for (scorer, weight), value, points in zip(weighed, values, all_points, strict=True)
    ]
    return Score(node=load.answer.node, total=_mean(all_points, weighed), terms=(*first, *terms))


def total(load: NodeLoad, request: Request, weighed: Weighed) -> float:
    """The total of `score`, without the texts."""
    return _mean(_points([scorer.read(load, request) for scorer, _ in weighed], weighed), weighed)


def _points(values: Sequence[float | Unknown], weighed: Weighed) -> list[float]:
    known = [
        (scorer, scorer.points(value))
        for (scorer, _), value in zip(weighed, values, strict=True)
        if not isinstance(value, Unknown)
    ]
    if len(known) == len(values):
        return [points for _, points in known]
    lowest = min((points for scorer, points in known if scorer is not GPU), default=0.0)
    rest = iter(known)
    return [lowest if isinstance(value, Unknown) else next(rest)[1] for value in values]


def _mean(all_points: Sequence[float], weighed: Weighed) -> float:
    points = weights = 0.0
    for (_, weight), of_term in zip(weighed, all_points, strict=True):
        points += of_term * weight
        weights += weight
    return min(100.0, points / weights)  # rounding may lift a mean of 100s above 100


def _term(
    scorer: Scorer, weight: float, points: float, load: NodeLoad, request: Request, value: float | Unknown
) -> Term:
    unknown = isinstance(value, Unknown)
    source = value.reason if isinstance(value, Unknown) else scorer.message(load, request, value)
    return Term(name=scorer.name, points=points, weight=weight, source=source, unknown=unknown)


# -- allocated share of a node with this job on it: Kubernetes' `LeastAllocated` and `MostAllocated`


def allocated_pct(load: NodeLoad, request: Request) -> float:
    """Mean over cpus, memory and, if requested, GPUs, in per cent; includes use without an allocation."""
    total_bytes = load.memory.total_bytes
    shares = [
        1.0 - (load.free_cpus - request.cpus) / load.cpus,
        1.0 - (load.free_mem_bytes - request.mem_bytes) / total_bytes,
    ]
    devices = load.devices
    if request.gpus and isinstance(devices, tuple) and devices:
        left = sum([device.share for device in devices]) - request.gpus * request.gpu_share
        shares.append(1.0 - left / len(devices))
    return 100.0 * sum(shares) / len(shares)


def risk_pct(load: NodeLoad, request: Request) -> float | Unknown:
    """Risk by the run queue per cpu over earlier samples; recent placements are not in it yet."""
    trend = load.answer.trends.get(R1M_PER_CPU)
    if trend is None:
        return Unknown(reason="no history")
    placed = (load.allocations.unreflected_cpus + request.cpus) / load.cpus
    return 100.0 * (trend.mean + placed + trend.deviation) / 2.0


# -- scorers: one number each, turned into 0…100 points; more is better


def _delay(load: NodeLoad, request: Request) -> float:
    # Shortest expected delay: (queue + request) / speed. The queue includes the request, because one more process is
    # less on 64 idle cpus than on 2. LSF's normalised run queue divides by the same two numbers.
    return (load.run_queue + request.cpus) / (load.cpus * load.answer.cpu_factor)


def _delay_points(delay: float) -> float:
    # A hyperbola never reaches 0, so of two overloaded nodes the less loaded one still has more points.
    return 100.0 / (1.0 + delay)


def _delay_text(load: NodeLoad, request: Request, _: float) -> str:
    debt = load.allocations.unreflected_cpus
    placed = f" + {debt:.3g} just placed" if debt else ""
    factor = load.answer.cpu_factor
    speed = f" of cpu factor {factor:g}" if factor != 1.0 else ""
    return f"r1m {load.r1m:.2f}{placed} + {request.cpus:g} requested on {counted(load.cpus, 'cpu')}{speed}"


def _expected_delay(load: NodeLoad, request: Request) -> float:
    # What was placed just now counts on top, as for the measured queue: no forecast knows of it yet.
    queue = _expected_queue(load) + load.allocations.unreflected_cpus
    return (queue + request.cpus) / (load.cpus * load.answer.cpu_factor)


def _expected_queue(load: NodeLoad) -> float:
    """The run queue to expect. Where there is no forecast, the measured one: a node is no worse for being new."""
    expected = load.answer.expected.get(R1M_PER_CPU)
    return load.r1m if expected is None else expected.value * load.cpus


def _expected_text(load: NodeLoad, _: Request, __: float) -> str:
    expected = load.answer.expected.get(R1M_PER_CPU)
    if expected is None:
        return f"no forecast, r1m {load.r1m:.2f}"
    error = "" if expected.error is None else f" +- {expected.error * load.cpus:.2f}"
    return f"r1m {_expected_queue(load):.2f}{error} expected on {counted(load.cpus, 'cpu')}"


def _left(used_pct: float) -> float:
    # Measured use may be a little over 100 %, because ticks and clocks are not read at the same instant.
    return min(100.0, max(0.0, 100.0 - used_pct))


def _worst_pressure(load: NodeLoad, _: Request) -> float | Unknown:
    worst = 0.0
    for read in (readers.psi_cpu_pct, readers.psi_mem_pct, readers.psi_io_pct):
        value = read(load)
        if isinstance(value, Unknown):
            return value
        worst = max(worst, value)
    return worst


RUN_QUEUE = Scorer(name="run queue", read=_delay, points=_delay_points, message=_delay_text)
CPU_USE = Scorer(
    name="cpu use",
    read=lambda load, _: readers.ut_pct(load),
    points=_left,
    message=lambda _, __, used: f"ut {used:.0f}%",
)
MEMORY = Scorer(
    name="memory",
    read=lambda load, _: 100.0 - load.mem_available_pct,
    points=_left,
    message=lambda _, __, used: f"mem {100.0 - used:.0f}% available",
)
PRESSURE = Scorer(
    name="pressure",
    read=_worst_pressure,
    points=_left,
    message=lambda _, __, worst: f"psi at most {worst:.0f}%",
)
GPU = Scorer(
    name="gpu",
    read=gpu_points,
    points=lambda points: points,
    message=lambda load, request, _: gpu_text(load, request),
)
FORECAST = Scorer(name="forecast", read=_expected_delay, points=_delay_points, message=_expected_text)
RISK = Scorer(
    name="risk",
    read=risk_pct,
    points=_left,
    message=lambda _, __, risk: f"mean + deviation of r1m {risk:.0f}%",
)
SPREAD = Scorer(
    name="spread",
    read=allocated_pct,
    points=_left,
    message=lambda _, __, taken: f"{taken:.0f}% allocated with this job",
)
PACKING = Scorer(
    name="packing",
    read=allocated_pct,
    points=lambda taken: min(100.0, max(0.0, taken)),
    message=lambda _, __, taken: f"{taken:.0f}% allocated with this job",
)


def _fragmentation(measure: Fragmentation) -> Scorer:
    return Scorer(
        name="fragmentation",
        read=lambda load, request: growth(measure, load, request),
        # A logistic curve of the change in GPUs, so that no change is off the scale.
        points=lambda grown: 100.0 / (1.0 + math.exp(grown)),
        message=lambda _, __, grown: f"{grown:+.3g} GPUs in fragments",
    )


def scorers_of(policy: Policy, request: Request, *, among_gpus: bool = False) -> tuple[tuple[Scorer, float], ...]:
    """The scorers with their weights, without those of weight 0 or not relevant for `request`.

    `among_gpus`: some of the nodes to choose from have GPUs.
    """
    weights = policy.weights
    weighed = (
        (RUN_QUEUE, weights.run_queue),
        (CPU_USE, weights.cpu_use),
        (MEMORY, weights.memory),
        (PRESSURE, weights.pressure),
        (GPU, weights.gpu if request.gpus or among_gpus else 0.0),
        (FORECAST, weights.forecast),
        (RISK, weights.risk),
        (SPREAD, weights.spread),
        (PACKING, weights.packing),
        (_fragmentation(fragmentation_of(policy.workload)), weights.fragmentation),
    )
    preferred = ((preference_scorer(one), one.weight) for one in request.constraints.preferences)
    of_site = ((site_scorer(one), one.weight) for one in policy.rules.scorers)
    return tuple((scorer, weight) for scorer, weight in (*weighed, *preferred, *of_site) if weight)


# -- scorers of installed packages


def site_scorer(one: SiteScorer) -> Scorer:
    """The scorer of a plug-in."""
    return Scorer(
        name=one.name,
        read=lambda load, request: one.points(load.answer, request),
        points=lambda points: points,
        message=lambda _, __, points: f"plug-in, {points:.3g} points",
    )


# -- `--prefer`: one more term for each preference


def preference_scorer(preference: Preference) -> Scorer:
    """The scorer of a preference."""

    def read(load: NodeLoad, _: Request) -> float:
        return 1.0 if load.answer.labels.get(preference.label) == preference.value else 0.0

    def text(load: NodeLoad, _: Request, __: float) -> str:
        value = load.answer.labels.get(preference.label)
        return f"no label {preference.label}" if value is None else f"{preference.label} is {value}"

    return Scorer(
        name=f"prefer {preference.label}={preference.value}",
        read=read,
        points=lambda matches: 100.0 * matches,
        message=text,
    )
