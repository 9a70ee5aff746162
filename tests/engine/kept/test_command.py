"""A command in open shells: real ones of this machine, in place of nodes."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clbalance.engine.kept import command as command_module
from clbalance.engine.kept.command import CommandResult, run_command
from clbalance.engine.kept.pool import KeptTimes
from clbalance.engine.kept.transport import KeptTransport
from clbalance.engine.services import Services
from clbalance.errors import Interrupted
from clbalance.model import Cause, NodeName
from clbalance.policy.kept_sessions import KeptLimits
from clbalance.policy.shell_command import AFTER_COMMAND, command_request
from clbalance.transport.reach import SshTransport
from clbalance.wiring.context import SystemClock
from tests.engine.services import world_of
from tests.scripted import HangUp
from tests.waiting import eventually

NONCE = "0123456789abcdef" * 2
A, B = NodeName("a"), NodeName("b")


@pytest.fixture
def services() -> Iterator[Services]:
    times = KeptTimes(begin_within_s=100.0, answer_within_s=100.0)
    inner = SshTransport(here=frozenset({A, B}))
    with KeptTransport(inner, clock=SystemClock(), rng=random.Random(1), times=times, limits=KeptLimits()) as kept:
        yield replace(world_of({}), transport=kept, clock=SystemClock(), answer_within_s=100.0)


def lines(results: tuple[CommandResult, ...]) -> list[tuple[bytes, ...]]:
    assert all(one.cause is None for one in results), results
    return [one.lines for one in results]


def test_the_same_shells_run_one_command_after_the_other(services: Services) -> None:
    (first,), (second,) = (
        lines(run_command(services, [A], "cut -d' ' -f4 /proc/$PPID/stat; cat; pwd >&2")) for _ in range(2)
    )
    assert first == second
    assert len(first) == 2


def test_each_node_has_its_own_output_and_code(services: Services) -> None:
    results = run_command(services, [A, B], 'case $$ in *[02468]) echo "even   $$" ;; *) exit 3 ;; esac; printf x')
    for one in results:
        assert (one.code, len(one.lines)) in {(3, 0), (0, 2)}


def test_what_a_command_leaves_in_the_background_lives_on_after_its_shell(tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    left = f"(while [ -e {tmp_path}/wait ]; do sleep 0.1; done; echo alive >{tmp_path}/after) >/dev/null 2>&1 &"
    with shell_of_this_machine() as shell:
        shell.stdin.write(command_request(left, NONCE))
        shell.stdin.flush()
        assert f"{NONCE} 0\n".encode() in iter(shell.stdout.readline, b"")
        shell.stdin.write(AFTER_COMMAND)
    (tmp_path / "wait").unlink()
    assert eventually((tmp_path / "after").read_text) == "alive\n"


def test_what_a_command_left_in_the_background_prints_later_is_no_output_of_the_next(
    services: Services, tmp_path: Path
) -> None:
    left = f"(until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo late; touch {tmp_path}/said) & echo first"
    assert lines(run_command(services, [A], left)) == [(b"first",)]
    wait = f"touch {tmp_path}/go; until [ -e {tmp_path}/said ]; do sleep 0.1; done; echo second"
    assert lines(run_command(services, [A], wait)) == [(b"second",)]


def test_a_command_that_runs_ends_with_its_shell(tmp_path: Path) -> None:
    with shell_of_this_machine() as shell:
        shell.stdin.write(command_request(f"setsid sleep 1000 & echo $! >{tmp_path}/pid; wait", NONCE))
        shell.stdin.flush()
        pid = int(eventually((tmp_path / "pid").read_text))
    eventually(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    """Whether it does more than wait to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def shell_of_this_machine() -> Iterator[Any]:
    """A shell as on a node; it reads end of file at the end."""
    with subprocess.Popen(["/bin/sh", "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdin is not None
        try:
            yield shell
        finally:
            shell.stdin.close()
            assert shell.wait(100) == 0


def test_an_interrupted_command_ends_on_the_nodes_and_its_shells_go_on(services: Services, tmp_path: Path) -> None:
    pids = interrupted(services, f"echo $$ >>{tmp_path}/pids; sleep 1000 & setsid sleep 1000", tmp_path)
    for pid in pids:
        eventually(lambda: not is_running(pid))  # noqa: B023 - called at once
    assert lines(run_command(services, [A, B], "echo again")) == [(b"again",), (b"again",)]


def test_a_command_that_ignores_requests_to_end_is_killed(services: Services, tmp_path: Path) -> None:
    (pid,) = interrupted(services, f"trap '' TERM; echo $$ >>{tmp_path}/pids; while :; do sleep 1; done", tmp_path, [A])
    eventually(lambda: not is_running(pid))


def test_what_outlives_an_interrupted_command_is_killed(services: Services, tmp_path: Path) -> None:
    ignores = f"""sh -c 'trap "" TERM; echo $$ >>{tmp_path}/pids; exec sleep 1000'"""
    (pid,) = interrupted(services, f"{ignores} & wait", tmp_path, [A])
    eventually(lambda: not is_running(pid))


def interrupted(services: Services, command: str, folder: Path, nodes: list[NodeName] | None = None) -> list[int]:
    """The first processes of a command that is interrupted while it runs on all nodes."""
    nodes = nodes or [A, B]
    pids: list[int] = []

    def stop(_: object) -> None:
        if (folder / "pids").exists():
            pids[:] = [int(line) for line in (folder / "pids").read_text().splitlines()]
        if len(pids) == len(nodes):
            raise Interrupted(2)

    listener = replace(services.listener)  # type: ignore[type-var]
    listener.awaiting = stop  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        run_command(replace(services, listener=listener), nodes, command)
    return pids


def test_a_node_without_an_answer_says_why_and_delays_nobody() -> None:
    world = world_of({"a": lambda _: [HangUp(Cause.AUTH, "Permission denied")], "b": lambda _: []})
    results = run_command(world, [A, B], "true")
    assert [(one.code, one.cause) for one in results] == [(None, Cause.AUTH), (None, Cause.TIMEOUT)]


def test_output_without_end_is_cut_off(services: Services) -> None:
    (result,) = run_command(services, [A], "yes $(printf %01000d 0)")
    assert result.cause is Cause.GARBLED
    assert result.reason == "more than 4 MiB of output"
    assert sum(map(len, result.lines)) <= command_module.MOST_OUTPUT_BYTES


def test_a_command_that_takes_too_long_is_told(services: Services) -> None:
    (result,) = run_command(services, [A], "sleep 1000", within_s=0.5)
    assert result.cause is Cause.TIMEOUT
