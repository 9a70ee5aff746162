"""What must be true before a job is started again: it is over, and its candidates are known."""

from dataclasses import replace

from clbalance.cli.job_world import me
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.screen import Screen
from clbalance.cli.workplace import Workplace, ssh_transport, workplace
from clbalance.engine.given_up import give_up_for_dead
from clbalance.engine.known import look
from clbalance.engine.world import World
from clbalance.errors import UsageError
from clbalance.job import JobRecord, Lost, Submitted
from clbalance.nodes import fold
from clbalance.policy.settling import is_queued
from clbalance.policy.verdict import reason_of
from clbalance.render import talk
from clbalance.transport.reach import this_node


def settled(world: World, record: JobRecord, screen: Screen, *, node_is_dead: bool) -> JobRecord:
    """The job, over or queued; `UsageError` where it may still run and nobody says otherwise."""
    (visited,) = look(world, [record])
    silent = [outcome for outcome in visited.outcomes if isinstance(outcome.end, Lost)]
    if visited.record.state.is_over or (is_queued(visited.record) and not silent):
        return visited.record
    if not silent or visited.record.controlled:
        raise UsageError(f"job {record.id} is {visited.record.state}", hint=f"`clbalance cancel {record.id}` ends it")
    where = fold(outcome.node for outcome in silent)
    if not node_is_dead:
        raise UsageError(
            f"job {record.id} may still run on {where}: {reason_of(silent[0].end)}",
            hint="`--node-is-dead` is your word that it does not; if it does, it runs twice",
        )
    screen.say(talk.warning(f"job {record.id} may run twice, should {where} come back"))
    return give_up_for_dead(world, visited, f"said to be dead by {me()}")


def as_submitted(ssh: SshOptions, submitted: Submitted) -> SshOptions:
    """How a job is reached that is to start again: as the user that it remembers.

    `UsageError` where another one was told: what would look after it later would not find it.
    """
    user = submitted.job.user
    if user is not None and ssh.user not in (None, user):
        raise UsageError(
            f"the job logs in as {user}, and cannot start again as {ssh.user}",
            hint=f"`clbalance run -l {ssh.user}` submits another one",
        )
    return replace(ssh, user=ssh.user or user)


def place_again(submitted: Submitted, ssh: SshOptions, screen: Screen) -> Workplace:
    """The candidates and the policy that it was submitted with.

    This machine is reached without ssh, for jobs that were run here.
    """
    place = workplace(NodeOptions(nodes=[fold(submitted.candidates)]), ssh, screen)
    here = frozenset({this_node()})
    return replace(
        place,
        policy=place.policy_as(submitted.group, submitted.policy),
        transport=ssh_transport(place.settings, ssh.ssh_options or (), here=here),
    )
