"""Carry out `replay --choose`: what would be chosen on these jobs, and why. Nothing is kept."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from clbalance.cli.balance.replay import nodes_of, read_files, sources_of
from clbalance.cli.balance.replay_workers import ReplayProgress, each_in_a_process
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.typed_settings import typed
from clbalance.errors import ExitCode
from clbalance.model import Snapshot
from clbalance.policy.backtest.choose import choose
from clbalance.policy.backtest.history import History, backtest
from clbalance.policy.backtest.values import FIELDS, Choice, Subject
from clbalance.policy.queue.processors import Processors
from clbalance.render import messages
from clbalance.render.reports.balance.choices import ChoicesReport
from clbalance.settings.load import load_settings
from clbalance.wiring.chosen import fixed_policies, last_choice
from clbalance.wiring.folders import working_directory


def choose_by_hand(files: Sequence[Path], nodes: NodeOptions, ssh: SshOptions, console: Console, *, seed: int) -> int:
    """The exit code of `clbalance replay --choose`."""
    settings = load_settings(os.environ, working_directory(), typed(ssh, nodes.groups_conf))
    log, machines = read_files(files)
    before: dict[Subject, str] = {}
    if log is None:
        history = _recorded(nodes_of(machines, nodes, ssh, console), console)
        before = {subject: kept.policy for subject in FIELDS if (kept := last_choice(subject)) is not None}
    else:
        cluster, trace = sources_of(log, machines, nodes, ssh, console)
        history = History(cluster=cluster, trace=trace, until_s=trace.arrivals[-1].submit_s)
    for remark in history.trace.remarks:
        console.say(messages.note(remark))
    in_use: dict[Subject, str] = {subject: FIELDS[subject].default for subject in FIELDS}
    in_use |= {**before, **fixed_policies(settings)}
    choices = [_choose(history, "queue", in_use["placement"], before.get("queue"), seed, console)]
    if isinstance(history.cluster, Processors):
        console.say(messages.note("a log counts processors, so placement makes no difference; name a file of nodes"))
    else:
        choices.append(_choose(history, "placement", choices[0].policy, before.get("placement"), seed, console))
    console.show(ChoicesReport(choices))
    return ExitCode.DONE


def _recorded(cluster: Snapshot, console: Console) -> History:
    """The history from which `rebalance --apply` would choose now."""
    from clbalance.cli.balance.recorded import recorded_history  # a log needs no database
    from clbalance.cli.cluster import open_store

    with open_store(console) as (store, journal):
        return recorded_history(store, journal, cluster, datetime.now(UTC))


def _choose(history: History, subject: Subject, other: str, before: str | None, seed: int, console: Console) -> Choice:
    names = FIELDS[subject].names
    tests = each_in_a_process(
        names,
        lambda name, heard: backtest(history, subject, name, other=other, rng=Random(seed), heard=heard),
        ReplayProgress(len(names) * len(history.trace.arrivals), quiet=console.quiet),
    )
    return choose(subject, tests, before=before, at=datetime.now(UTC))
