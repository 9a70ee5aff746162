"""What was measured a while ago, carried forward to now. Pure.

So a remembered answer stands for the node as it probably is: a node that was busy for a moment is not shunned, and one
that was idle for a moment is not sought out. Fresh answers decide all the same (docs/design/few-nodes.md).
"""

from dataclasses import replace

from clbalance.model import Cpus, Measured, Rates, RunQueue
from clbalance.policy.indices.samples import R1M_PER_CPU

_CPU_USE = "ut_pct"


def carried_forward(answer: Measured) -> Measured:
    """The answer with the run queue and the cpu use that it expects; where it expects none, they stay as they were."""
    reading, rates = answer.reading, answer.rates
    queue, use = answer.expected.get(R1M_PER_CPU), answer.expected.get(_CPU_USE)
    if queue is not None and isinstance(reading.run_queue, RunQueue) and isinstance(reading.cpus, Cpus):
        r1m = queue.value * reading.cpus.online
        reading = replace(reading, run_queue=replace(reading.run_queue, r1m=r1m))
    if use is not None and isinstance(rates, Rates):
        rates = replace(rates, ut_pct=use.value)
    return replace(answer, reading=reading, rates=rates)
