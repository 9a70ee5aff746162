"""What this host and the nodes know of the users and jobs in a snapshot, for reports about them."""

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import replace

from clbalance.cli.option_values import name_here
from clbalance.engine.services import Services
from clbalance.engine.user_names import names_on_nodes, users_on
from clbalance.errors import StoreError
from clbalance.model import Measured, Snapshot, Unknown
from clbalance.node import names_script, probe_script
from clbalance.policy.jobs.command import command_text
from clbalance.ports import Journal
from clbalance.render.names import KnownJob, KnownNames


def asking_for_owners(services: Services) -> Services:
    """The same services, but their probes also ask whose the processes on GPUs are."""
    script = probe_script if services.site is None else services.site.script
    return replace(services, probe_script=script(owners=True))


def known_names(services: Services, snapshot: Snapshot, *, ask_nodes: bool = True) -> KnownNames:
    """The names of all users and jobs on these nodes. `ask_nodes`: for users that this host does not know."""
    answers = [answer for answer in snapshot.answers if isinstance(answer, Measured)]
    here = user_names_here(uid for answer in answers for uid in users_on(answer))
    there = names_on_nodes(services, snapshot, names_script, frozenset(here)) if ask_nodes else {}
    keys = {
        lease.key
        for answer in answers
        if not isinstance(answer.reading.leases, Unknown)
        for lease in answer.reading.leases
        if lease.uid == answer.reading.uid
    }
    return KnownNames(users=here, users_there=there, jobs=_jobs(services.journal, keys) if keys else {})


def user_names_here(uids: Iterable[int]) -> dict[int, str]:
    """The users' names on this host; without those that it does not know."""
    return {uid: name for uid in set(uids) if (name := name_here(uid)) is not None}


def _jobs(journal: Journal, keys: Collection[str]) -> dict[str, KnownJob]:
    """Those of the journal, also if it has them as over: their leases last until their supervisors have ended."""
    found = {}
    for record in (*journal.records(over=True), *journal.records()):
        if record.key in keys and record.key not in found:
            with contextlib.suppress(StoreError):  # submitted by another version of the program
                found[record.key] = KnownJob(id=record.id, command=_command(journal, record.id))
    return found


def _command(journal: Journal, number: int) -> str:
    submitted = journal.submitted(number)
    if submitted is None:
        return ""
    return command_text(submitted, len(journal.tasks(number)) if submitted.rules is not None else 0)
