"""Find the jobs that a verb names, and check whether a job can be started again."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from clbalance.cli.cluster import ClusterContext, cluster_context, open_store, ssh_transport
from clbalance.cli.console import Console
from clbalance.cli.node_settings import me, result_groups
from clbalance.cli.options import NodeOptions, ReachOptions, SshOptions
from clbalance.cli.placement_remarks import tell_forced
from clbalance.cli.progress import SweepProgress
from clbalance.cli.requests import selection_of
from clbalance.cli.transfers import file_transfers
from clbalance.cli.typed_settings import typed
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.services import Services
from clbalance.errors import UsageError
from clbalance.model import NodeName
from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord, Lost
from clbalance.nodeset import NodeSets, candidates, fold
from clbalance.policy.jobs.leased import JobName, job_name
from clbalance.policy.jobs.names import LAST, numbers_meant
from clbalance.policy.jobs.outcome import reason_of
from clbalance.policy.jobs.record import is_queued
from clbalance.ports import Journal
from clbalance.render import messages
from clbalance.settings.load import load_settings
from clbalance.transport.reach import this_node
from clbalance.wiring.context import services_in
from clbalance.wiring.folders import working_directory
from clbalance.wiring.plugins.wanted import configured_groups

MOST_JOBS = 10_000
"""That are looked at, of the newest."""
_REMEMBERED = "`clbalance jobs --ended` shows those that are over as well"
_NO_JOB_NAME = _REMEMBERED + "; nodes are named with `-w`"


@contextlib.contextmanager
def open_job_services(ssh: ReachOptions, console: Console) -> Iterator[Services]:
    """The services for verbs on submitted jobs. This machine is reached without ssh, for jobs that were run here."""
    settings = load_settings(os.environ, working_directory(), typed(ssh))
    transport = ssh_transport(settings, ssh.ssh_options or (), here=frozenset({this_node()}))
    listener = SweepProgress(console, meanwhile="clbalance.engine.jobs.submitted")

    def warn(text: str) -> None:
        console.say(messages.warning(text))

    with open_store(console, needed=True) as opened:
        yield replace(
            services_in(settings, transport, opened, listener, warn),
            typed_user=ssh.user,
            forced=partial(tell_forced, console),
            transfers=file_transfers,
            show_unfinished=console.outlets.show_unfinished,
        )


def named_jobs(journal: Journal, words: Sequence[str]) -> tuple[JobRecord, ...]:
    """The jobs for numbers, ranges (`3-7`), names, or `last`; each once, in the order of the words.

    `UsageError` for no words, and for a word without a job.
    """
    if not words:
        raise UsageError("no job named", hint="a number, a range such as `3-7`, a name, or `last`")
    found = {record.id: record for word in words for record in _jobs_for(journal, word)}
    return tuple(found.values())


def leased_names(journal: Journal, words: Sequence[str]) -> dict[str, JobName]:
    """Those words that name running jobs by owner or key, except jobs of this host (docs/design/administrator.md)."""
    names = {word: job_name(word) for word in words}
    return {word: name for word, name in names.items() if name is not None and not _with_key(journal, name)}


def one_job(journal: Journal, word: str) -> JobRecord:
    """The one job for a word; `UsageError` for none or several."""
    found = named_jobs(journal, [word])
    if len(found) > 1:
        raise UsageError(f"`{word}` names {len(found)} jobs", hint=f"one of {_numbers(found)}")
    return found[0]


def nodes_meant(node_sets: Sequence[str]) -> frozenset[NodeName]:
    """The nodes after `-w`, where jobs on them are meant. Groups are looked up only if one is named."""
    options, groups = NodeOptions(nodes=list(node_sets)), None
    if any("@" in one for one in node_sets):
        settings = load_settings(os.environ, working_directory())
        groups = configured_groups(settings, result_groups(options))
    return frozenset(candidates(selection_of(options), NodeSets(groups)).nodes)


def _jobs_for(journal: Journal, word: str) -> list[JobRecord]:
    if word == LAST:
        newest = journal.records(over=True, newest=1)
        if not newest:
            raise UsageError("no job has been submitted from here yet")
        return list(newest)
    if numbers := numbers_meant(word):
        return _in_range(journal, *numbers, word)
    if name := job_name(word):
        if own := _with_key(journal, name):
            return own
        raise UsageError(
            f"`{word}` names a job by its owner",
            hint="`cancel`, `logs` and `show` take such a name while the job runs; here, jobs have numbers",
        )
    named = [record for record in journal.records(over=True) if record.name == word]
    if not named:
        raise UsageError(f"no job is named `{word}`", hint=_NO_JOB_NAME)
    return [record for record in named if not record.state.is_over] or named[-1:]


def _with_key(journal: Journal, name: JobName) -> list[JobRecord]:
    """The job of this host with that key. Another user's job may have the same key: with his name, it is his."""
    if not name.key or name.user not in (None, me(), str(os.geteuid())):
        return []
    return [one for one in journal.records(over=True) if one.key.startswith(name.key)]


def _in_range(journal: Journal, first: int, last: int, word: str) -> list[JobRecord]:
    if first == last:
        record = journal.record(first)
        if record is None:
            raise UsageError(f"there is no job {word}", hint=_REMEMBERED)
        return [record]
    found = [one for one in journal.records(over=True, newest=MOST_JOBS) if first <= one.id <= last]
    if not found:
        raise UsageError(f"there is no job in {word}", hint=_REMEMBERED)
    return found


def _numbers(records: Sequence[JobRecord]) -> str:
    return ", ".join(str(record.id) for record in records[:5]) + (", ..." if len(records) > 5 else "")


# Start a job again: it must not run any more, and it keeps its candidates and policy.


def restartable_job(services: Services, record: JobRecord, console: Console, *, node_is_dead: bool) -> JobRecord:
    """The job, over or queued. `UsageError` if it may still run, unless `node_is_dead` says that it does not."""
    (reconciled,) = refresh(services, [record])
    if reconciled.record.held and not reconciled.record.state.is_over:
        raise UsageError(
            f"job {record.id} is {reconciled.record.reason}", hint=f"`clbalance release {record.id}` lets it start"
        )
    silent = [outcome for outcome in reconciled.outcomes if isinstance(outcome.end, Lost)]
    if reconciled.record.state.is_over or (is_queued(reconciled.record) and not silent):
        return reconciled.record
    if not silent or reconciled.record.has_controller:
        raise UsageError(
            f"job {record.id} is {reconciled.record.state}", hint=f"`clbalance cancel {record.id}` ends it"
        )
    where = fold(outcome.node for outcome in silent)
    if not node_is_dead:
        raise UsageError(
            f"job {record.id} may still run on {where}: {reason_of(silent[0].end)}",
            hint="`--node-is-dead` requeues it all the same; if that node comes back, the job runs twice",
        )
    from clbalance.engine.jobs.node_dead import mark_node_dead  # deferred import: docs/design/startup.md

    console.say(messages.warning(f"job {record.id} may run twice if {where} comes back"))
    return mark_node_dead(services, reconciled, f"declared dead by {me()}")


def as_submitted(ssh: SshOptions, submitted: Submitted) -> SshOptions:
    """The ssh options to start a job again: with the login user that it was submitted with.

    `UsageError` if another user was typed: later commands would look for the job as the first user.
    """
    user = submitted.job.user
    if user is not None and ssh.user not in (None, user):
        raise UsageError(
            f"the job logs in as {user}, and cannot start again as {ssh.user}",
            hint=f"`clbalance run -l {ssh.user}` submits another one",
        )
    return replace(ssh, user=ssh.user or user)


def place_again(
    submitted: Submitted, ssh: SshOptions, console: Console, *, groups_conf: Path | None = None
) -> ClusterContext:
    """The context with the candidates and the policy of a submitted job.

    This machine is reached without ssh, for jobs that were run here.
    """
    cluster = cluster_context(NodeOptions(nodes=[fold(submitted.candidates)], groups_conf=groups_conf), ssh, console)
    here = frozenset({this_node()})
    return replace(
        cluster,
        policy=cluster.policy_as(submitted.group, submitted.policy),
        transport=ssh_transport(cluster.settings, ssh.ssh_options or (), here=here),
    )
