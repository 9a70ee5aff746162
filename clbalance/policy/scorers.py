"""What a node is compared by: one index each, turned into 0…100 points so that less load never has fewer."""

from collections.abc import Callable
from dataclasses import dataclass

from clbalance.model import Request, Unknown
from clbalance.policy import indices
from clbalance.policy.effective import Load
from clbalance.policy.policies import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """One term: the number it reads, the points that number is worth, and how a person is told of it."""

    name: str
    weight: Callable[[Weights], float]
    read: Callable[[Load, Request], float | Unknown]
    points: Callable[[float], float]
    told: Callable[[Load, Request, float], str]


def _delay(load: Load, request: Request) -> float:
    # Shortest expected delay: (queue + what is asked for) / speed. The queue is as it will be, not as it is:
    # one more is less on 64 idle cpus than on 2. LSF's normalised run queue divides by the same two.
    return (load.run_queue + request.cpus) / (load.cpus * load.answer.cpu_factor)


def _delay_points(delay: float) -> float:
    # A hyperbola, not a ramp that ends: of two overloaded nodes the less loaded one still has more points.
    return 100.0 / (1.0 + delay)


def _delay_told(load: Load, request: Request, _: float) -> str:
    debt = load.ledger.debt_cpus
    placed = f" + {debt:.3g} placed" if debt else ""
    factor = load.answer.cpu_factor
    speed = f" of factor {factor:g}" if factor != 1.0 else ""
    return f"r1m {load.r1m:.2f}{placed} + {request.cpus:g} asked on {load.cpus} cpus{speed}"


def _left(used_pct: float) -> float:
    # Use may be measured a little over 100 %, for ticks and clocks are not read at one instant.
    return min(100.0, max(0.0, 100.0 - used_pct))


def _worst_pressure(load: Load, _: Request) -> float | Unknown:
    worst = 0.0
    for read in (indices.psi_cpu_pct, indices.psi_mem_pct, indices.psi_io_pct):
        value = read(load)
        if isinstance(value, Unknown):
            return value
        worst = max(worst, value)
    return worst


SCORERS: tuple[Scorer, ...] = (
    Scorer(
        name="run queue",
        weight=lambda weights: weights.run_queue,
        read=_delay,
        points=_delay_points,
        told=_delay_told,
    ),
    Scorer(
        name="cpu use",
        weight=lambda weights: weights.cpu_use,
        read=lambda load, _: indices.ut_pct(load),
        points=_left,
        told=lambda _, __, used: f"ut {used:.0f}%",
    ),
    Scorer(
        name="memory",
        weight=lambda weights: weights.memory,
        read=lambda load, _: 100.0 - load.mem_available_pct,
        points=_left,
        told=lambda _, __, used: f"mem {100.0 - used:.0f}% available",
    ),
    Scorer(
        name="pressure",
        weight=lambda weights: weights.pressure,
        read=_worst_pressure,
        points=_left,
        told=lambda _, __, worst: f"psi at most {worst:.0f}%",
    ),
)
