"""Several controllers at once, with no word between them: no node promises more than it has, and all jobs get done.

Few jobs by default; the tests marked `soak` grow with CLBALANCE_SOAK, 50 being the full measure.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.faults.soak import trials

from .controller import Try, insist
from .diary import Entry, begun, diary_of, ended, most_at_once

pytestmark = pytest.mark.soak


def contest(controllers: int, jobs: int, run: Callable[[str], list[Try]]) -> list[Try]:
    """All tries of all jobs, as many at once as there are controllers."""
    with ThreadPoolExecutor(controllers) as pool:
        return [
            each
            for restart_policy in pool.map(run, (f"job{number}" for number in range(jobs)))
            for each in restart_policy
        ]


def written(lab: Lab) -> dict[str, list[Entry]]:
    return {node.name: diary_of(node) for node in lab.nodes}


def names_of(restart_policy: list[Try], *, copies: int) -> Counter[str]:
    """Each job that ran, once for each of its copies."""
    return Counter({each.name: copies for each in restart_policy if each.ran})


def test_no_node_ever_holds_leases_of_more_cpus_than_it_has(lab: Lab, clbalance: Command) -> None:
    restart_policy = contest(8, trials(16, 200), partial(insist, clbalance, ("-w", "node[1-4]", "--cpus", "2")))
    diaries = written(lab)
    at_once = [most_at_once(diary) for diary in diaries.values() if diary]
    assert (
        max(at_once) <= 2
    )  # every job has two of four cpus; whether two meet is a matter of luck since loads are levelled
    assert len(at_once) == 4  # no node was left out
    everything = [entry for diary in diaries.values() for entry in diary]
    assert Counter(begun(everything)) == Counter(ended(everything)) == names_of(restart_policy, copies=1)


def test_jobs_of_several_nodes_never_block_each_other_nor_start_in_part(lab: Lab, clbalance: Command) -> None:
    # Any three of four and any three of four others among five meet: only one job can run at a time.
    rounds = trials(5, 500)
    wants = ["node[1-4]", "node[2-5]"]
    restart_policy: list[Try] = []
    for number in range(rounds):
        with ThreadPoolExecutor(len(wants)) as pool:
            both = [
                pool.submit(insist, clbalance, ("-w", where, "--pick", "3", "--cpus", "3"), f"{where}.{number}")
                for where in wants
            ]
            restart_policy += [each for one in both for each in one.result()]
    diaries = written(lab)
    assert max(most_at_once(diary) for diary in diaries.values()) == 1
    everything = [entry for diary in diaries.values() for entry in diary]
    assert Counter(begun(everything)) == Counter(ended(everything)) == names_of(restart_policy, copies=3)


def test_no_gpu_is_ever_held_twice(lab: Lab, clbalance: Command) -> None:
    # Six controllers for eight GPUs: what is left over is always some of two or three nodes.
    restart_policy = contest(6, trials(12, 30), partial(insist, clbalance, ("-w", "node[5-8]", "--gpus", "1")))
    everything = [entry for diary in written(lab).values() for entry in diary]
    held = Counter(entry.gpus for entry in everything)
    assert {len(gpus) for gpus in held} == {1}
    assert len(held) <= 8
    for gpus in held:
        assert most_at_once(everything, lambda entry, gpus=gpus: entry.gpus == gpus) == 1  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    assert Counter(begun(everything)) == Counter(ended(everything)) == names_of(restart_policy, copies=1)
