"""Carry out `clbalance replay`: every policy with every seed, as many at once as there are cpus."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from clbalance.cli.chosen_policy import policy_of
from clbalance.cli.here import here
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.replay_sources import read_sources
from clbalance.cli.replay_workers import ReplayProgress, each_in_a_process
from clbalance.cli.screen import Screen
from clbalance.cli.workplace import typed
from clbalance.errors import ExitCode, UsageError
from clbalance.policy.policies import Policy
from clbalance.policy.replay import replay
from clbalance.policy.replay_figures import compared
from clbalance.policy.thresholds import Thresholds
from clbalance.policy.waiting_lists import waiting_list_named
from clbalance.policy.workload import Workload
from clbalance.render import talk
from clbalance.render.reports.replay import ReplayReport
from clbalance.settings.load import load_settings


def replay_trace(
    files: Sequence[Path],
    nodes: NodeOptions,
    ssh: SshOptions,
    screen: Screen,
    *,
    names: Sequence[str],
    queue: str | None,
    seeds: range,
) -> int:
    """The exit code of `clbalance replay`."""
    if not seeds:
        raise UsageError("`--repeat` is less than 1", hint="give how many seeds to replay with, 1 or more")
    waiting_list = None if queue is None else waiting_list_named(queue)
    policies = _policies(names, nodes, ssh)
    cluster, trace = read_sources(files, nodes, ssh, screen)
    for remark in trace.remarks:
        screen.say(talk.note(remark))
    workload = Workload.of(arrival.request for arrival in trace.arrivals)
    policies = [replace(policy, workload=workload) for policy in policies]
    cases = [(policy, seed) for policy in policies for seed in seeds]
    found = each_in_a_process(
        cases,
        lambda case, heard: (
            replay(cluster, trace, case[0], Random(case[1]), waiting_list=waiting_list, heard=heard).figures
        ),
        ReplayProgress(len(cases) * len(trace.arrivals), quiet=screen.quiet),
    )
    rows = [
        compared(policy.name, queue, found[at * len(seeds) : (at + 1) * len(seeds)])
        for at, policy in enumerate(policies)
    ]
    screen.show(ReplayReport(rows))
    return ExitCode.DONE


def _policies(names: Sequence[str], nodes: NodeOptions, ssh: SshOptions) -> list[Policy]:
    """Those that were named, else the one of the settings; each once."""
    settings = load_settings(os.environ, here(), typed(ssh, nodes.groups_conf))
    wanted: Sequence[str | None] = list(dict.fromkeys(names)) or [None]
    return [policy_of(settings, Thresholds(), nodes, name) for name in wanted]
