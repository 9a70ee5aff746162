"""What policies made of traces that nobody ran."""

from dataclasses import replace
from datetime import UTC, datetime

from clbalance.policy.backtest.choose import default_choice
from clbalance.policy.backtest.values import Choice, Evidence
from clbalance.policy.queue.replay_metrics import Figures, PolicyComparison, compared
from clbalance.render.report import Report
from clbalance.render.reports.balance.choices import ChoicesReport
from clbalance.render.reports.balance.replay import ReplayReport
from tests.render.examples import Example

_FIGURES = Figures(
    placed=28481,
    refused=0,
    gpu_allocated_pct=None,
    cpu_allocated_pct=68.5613,
    gpu_allocated_at_first_refusal_pct=None,
    wait_mean_s=6836.84,
    wait_p95_s=37619.0,
    bounded_slowdown_mean=92.5745,
    bounded_slowdown_max=14805.2,
    max_over_mean=1.4317,
)
_REFUSING = Figures(
    placed=8780,
    refused=1820,
    gpu_allocated_pct=94.4245,
    cpu_allocated_pct=82.4069,
    gpu_allocated_at_first_refusal_pct=94.3207,
    wait_mean_s=0.0,
    wait_p95_s=0.0,
    bounded_slowdown_mean=None,
    bounded_slowdown_max=None,
    max_over_mean=1.2023,
)

_COMPARISONS = (
    PolicyComparison(policy="least", queue="easy", figures=_FIGURES),
    PolicyComparison(policy="pack", queue="easy", figures=replace(_FIGURES, max_over_mean=None)),
)
_REPEATED = (
    compared("fgd", None, [_REFUSING, replace(_REFUSING, placed=8783, refused=1817, gpu_allocated_pct=94.5)]),
    compared("random", None, [replace(_REFUSING, gpu_allocated_pct=80.0)] * 2),
)
CHOSEN = Choice(
    subject="queue",
    policy="easy-sjbf",
    before="priority",
    at=datetime(2026, 11, 30, 4, 5, 6, tzinfo=UTC),
    reason="priority is out, its worst slowdown is 27695.5, that of easy 14805.2; easy-sjbf has 0.9 % less slowdown than "
    "easy, noise 17.8 %",
    days=337,
    jobs=28481,
    margin_pct=0.92034,
    noise_pct=17.8074,
    evidence=(
        Evidence(policy="easy-sjbf", slowdown=56.1008, worst=14805.2, started=28481),
        Evidence(policy="easy", slowdown=56.6219, worst=14805.2, started=28481),
        Evidence(
            policy="priority",
            slowdown=32.3198,
            worst=27695.5,
            started=28481,
            out="its worst slowdown is 27695.5, that of easy 14805.2",
        ),
        Evidence(policy="fcfs", slowdown=None, worst=0.0, started=0, out="it starts 28481 jobs fewer than easy"),
    ),
)
SHORT = default_choice("placement", "the history has jobs of 1 day, and 7 days are needed", None, CHOSEN.at)
EXAMPLES = (
    Example("replay", (ReplayReport(_COMPARISONS),)),
    Example("replay-repeated", (ReplayReport(_REPEATED),)),
    Example("replay-choose", (ChoicesReport((CHOSEN, SHORT)),)),
)


def odd_choice(one: str, other: str) -> Choice:
    evidence = Evidence(policy=one, slowdown=None, worst=0.0, started=0, out=other)
    return Choice(subject="queue", policy=other, before=one, at=CHOSEN.at, reason=one, evidence=(evidence,))


def hostile(one: str, other: str) -> list[Report]:
    odd = replace(_FIGURES, wait_mean_s=float("nan"), max_over_mean=float("inf"))
    return [
        ReplayReport([PolicyComparison(policy=one, queue=other, figures=odd)]),
        ChoicesReport([odd_choice(one, other)]),
    ]
