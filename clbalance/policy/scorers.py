"""What a node is compared by: one number each, turned into 0…100 points, of which more is better."""

import math

from clbalance.model import Request, Unknown
from clbalance.policy import readers
from clbalance.policy.effective import Load
from clbalance.policy.fragmentation import Fragmentation, fragmentation_of
from clbalance.policy.gpu_choice import growth
from clbalance.policy.meant import meant
from clbalance.policy.policies import Policy
from clbalance.policy.preferences import preference_scorer
from clbalance.policy.risk import risk_pct
from clbalance.policy.scorer import Scorer
from clbalance.policy.taken import taken_pct


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
    for read in (readers.psi_cpu_pct, readers.psi_mem_pct, readers.psi_io_pct):
        value = read(load)
        if isinstance(value, Unknown):
            return value
        worst = max(worst, value)
    return worst


def _gpu_memory_used(load: Load, request: Request) -> float | Unknown:
    gpus = meant(load.answer, request).reading.gpus
    if isinstance(gpus, Unknown):
        return gpus
    used = sorted(100.0 * gpu.mem_used_bytes / gpu.mem_total_bytes for gpu in gpus if gpu.mem_total_bytes)
    best = used[: request.gpus]
    return sum(best) / len(best) if best else Unknown(why="no GPUs")


RUN_QUEUE = Scorer(name="run queue", read=_delay, points=_delay_points, told=_delay_told)
CPU_USE = Scorer(
    name="cpu use",
    read=lambda load, _: readers.ut_pct(load),
    points=_left,
    told=lambda _, __, used: f"ut {used:.0f}%",
)
MEMORY = Scorer(
    name="memory",
    read=lambda load, _: 100.0 - load.mem_available_pct,
    points=_left,
    told=lambda _, __, used: f"mem {100.0 - used:.0f}% available",
)
PRESSURE = Scorer(
    name="pressure",
    read=_worst_pressure,
    points=_left,
    told=lambda _, __, worst: f"psi at most {worst:.0f}%",
)
GPU = Scorer(
    name="gpu",
    read=_gpu_memory_used,
    points=_left,
    told=lambda _, request, used: f"{used:.0f}% of the memory of {request.gpus} used",
)
RISK = Scorer(
    name="risk",
    read=risk_pct,
    points=_left,
    told=lambda _, __, risk: f"{risk:.0f}% of mean and deviation",
)
SPREAD = Scorer(
    name="spread",
    read=taken_pct,
    points=_left,
    told=lambda _, __, taken: f"{taken:.0f}% taken with it",
)
PACKING = Scorer(
    name="packing",
    read=taken_pct,
    points=lambda taken: min(100.0, max(0.0, taken)),
    told=lambda _, __, taken: f"{taken:.0f}% taken with it",
)


def _fragmentation(measure: Fragmentation) -> Scorer:
    return Scorer(
        name="fragmentation",
        read=lambda load, request: growth(measure, load, request),
        # Of a change by x GPUs, so that none ever ends the scale.
        points=lambda grown: 100.0 / (1.0 + math.exp(grown)),
        told=lambda _, __, grown: f"{grown:+.3g} GPUs of fragments",
    )


def scorers_of(policy: Policy, request: Request) -> tuple[tuple[Scorer, float], ...]:
    """What nodes are compared by, with its weight: what weighs nothing, or does not concern `request`, is left out."""
    weights = policy.weights
    weighed = (
        (RUN_QUEUE, weights.run_queue),
        (CPU_USE, weights.cpu_use),
        (MEMORY, weights.memory),
        (PRESSURE, weights.pressure),
        (GPU, weights.gpu if request.gpus else 0.0),
        (RISK, weights.risk),
        (SPREAD, weights.spread),
        (PACKING, weights.packing),
        (_fragmentation(fragmentation_of(policy.workload)), weights.fragmentation),
    )
    preferred = ((preference_scorer(one), one.weight) for one in request.constraints.preferences)
    return tuple((scorer, weight) for scorer, weight in (*weighed, *preferred) if weight)
