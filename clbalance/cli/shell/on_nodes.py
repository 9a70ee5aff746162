"""Run a command on the current set, and show its output folded and its exit codes."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.engine.kept.command import CommandResult, run_command
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, StoreError
from clbalance.model import Cause, NodeName
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import Result
from clbalance.policy.shell.guard import PASSWORD_HINT, asks_for_password
from clbalance.render import messages
from clbalance.render.output.grouped import Gathered
from clbalance.store.in_memory import InMemoryStore
from clbalance.store.in_memory_journal import InMemoryJournal
from clbalance.store.location import state_directory, this_machine
from clbalance.store.result_groups import keep_results


@contextlib.contextmanager
def services_for_commands(cluster: ClusterContext) -> Iterator[Services]:
    """The services for all commands of one shell. They need no state database."""
    with cluster.services(opened=(InMemoryStore(), InMemoryJournal())) as services:
        yield services


def run_on_nodes(services: Services, console: Console, nodes: Sequence[NodeName], command: str) -> int:
    """The highest exit code of the nodes; 4 if one did not answer and no code is higher."""
    results = run_command(services, nodes, command)
    _show(console, results)
    _keep(console, results)
    return max(ExitCode.SOME_NODES_FAILED if one.code is None else one.code for one in results)


def _show(console: Console, results: Sequence[CommandResult]) -> None:
    output = Gathered(console.outlets, [one.node for one in results], fold)
    for one in results:
        if one.lines:
            output.write(one.node, "stdout", b"\n".join(one.lines) + b"\n")
    with contextlib.closing(output):
        pass
    told: dict[str, list[NodeName]] = {}
    for one in results:
        if one.code is None:
            told.setdefault((one.cause or Cause.LOST).because(one.reason), []).append(one.node)
        elif one.code:
            told.setdefault(f"exit code {one.code}", []).append(one.node)
    for what, nodes in told.items():
        console.complain(messages.note(f"{fold(nodes)}: {what}"))
    if any(one.code and any(map(asks_for_password, one.lines)) for one in results):
        console.complain(f"hint: {PASSWORD_HINT}\n")


def _keep(console: Console, results: Sequence[CommandResult]) -> None:
    """Make the nodes known as `@clb:ok`, `@clb:failed`, `@clb:timeout` and `@clb:unreachable`."""
    sets: dict[str, list[NodeName]] = {result.value: [] for result in Result}
    for one in results:
        sets[_result(one).value].append(one.node)
    try:
        folder = state_directory(os.environ, this_machine()).path
        keep_results(folder, None, {name: fold(nodes) if nodes else "" for name, nodes in sets.items()})
    except StoreError as error:
        console.say(messages.warning(f"`@clb:` does not know this result: {error.message}"))


def _result(one: CommandResult) -> Result:
    if one.code is not None:
        return Result.FAILED if one.code else Result.OK
    return Result.TIMEOUT if one.cause is Cause.TIMEOUT else Result.UNREACHABLE
