"""The loop of `clbalance shell`: a line comes in, is carried out, and whatever becomes of it, the next one follows."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clbalance.cli.app import exit_code_of
from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.kept_sessions import SessionKeeper
from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions
from clbalance.cli.shell.executor import Executor, LeaveShell
from clbalance.cli.shell.node_words import NodeWords, is_group_of
from clbalance.cli.shell.on_nodes import run_on_nodes, services_for_commands
from clbalance.cli.signals import heeded, raise_once
from clbalance.errors import ClbalanceError, ExitCode, Interrupted, UsageError
from clbalance.model import NodeName

if TYPE_CHECKING:  # scripts need none
    from clbalance.cli.shell.prompt import Prompt

_MOST_LINE_BYTES = 1 << 20
_WORDS = ("shell",)


def run_shell(nodes: NodeOptions, ssh: SshOptions, *, command: str | None, stops_at_failure: bool, yes: bool) -> int:
    """The exit code of `clbalance shell`."""
    console = Console.of(OutputOptions())
    is_asked = command is None and os.isatty(0) and os.isatty(1)
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(SessionKeeper())
        with keeper.serving():
            cluster = cluster_context(nodes, ssh, console)
        services = stack.enter_context(services_for_commands(cluster))

        def expand(text: str) -> tuple[NodeName, ...]:
            named = replace(nodes, nodes=[text], groups=None, everything=False, exclude=None, exclude_groups=None)
            return cluster_context(named, ssh, console).candidates.nodes

        executor = Executor(
            cluster.candidates.nodes,
            expand,
            words=NodeWords(cluster, is_group_of(expand)),
            run=partial(run_on_nodes, services, console),
            names_nodes=nodes.names_nodes,
            asks=cluster.settings.shell,
            can_ask=is_asked,
            yes=yes,
        )
        if is_asked:
            from clbalance.cli.shell.prompt import Prompt

            return _converse(executor, keeper, Prompt(console, keeper.tend))
        lines = _script() if command is None else iter(command.split("\n"))
        return _carry_out_all(executor, keeper, lines, stops_at_failure=stops_at_failure)


def _converse(executor: Executor, keeper: SessionKeeper, prompt: "Prompt") -> int:
    """Carry out what is typed at a terminal. A signal other than Ctrl-C ends it."""
    signals = heeded()
    code: int = ExitCode.DONE
    while True:
        try:
            raise_once(signals)  # in here, for the next one may come at once
            line = prompt.read(executor.current.short)
            if line is None:
                return code
            for one in line.split("\n"):  # of a pasted text there may be many
                code = _carry_out(executor, keeper, one)
                if code:
                    break  # the next one may rest on it, such as on its `use`
        except LeaveShell as leave:
            return code if leave.code is None else leave.code
        except Interrupted as stop:
            if stop.signum != signal.SIGINT:
                raise
            code = 128 + stop.signum
            sys.stderr.write("\n")  # behind the terminal's `^C`


def _carry_out_all(executor: Executor, keeper: SessionKeeper, lines: Iterator[str], *, stops_at_failure: bool) -> int:
    """Carry out the lines of a script."""
    code: int = ExitCode.DONE
    for line in lines:
        try:
            code = _carry_out(executor, keeper, line)
        except LeaveShell as leave:
            return code if leave.code is None else leave.code
        if code and stops_at_failure:
            return code
    return code


def _carry_out(executor: Executor, keeper: SessionKeeper, line: str) -> int:
    """The exit code of a line; its errors are told."""
    try:
        with keeper.serving():
            return executor.carry_out(line)
    except ClbalanceError as error:
        return exit_code_of(_WORDS, error)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ExitCode.FAILED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise Interrupted(signal.SIGPIPE) from error
        return exit_code_of(_WORDS, ClbalanceError(str(error.strerror or error)))


def _script() -> Iterator[str]:
    """The lines of standard input. What the lines run does not read it. `UsageError` for a line that is none."""
    with os.fdopen(os.dup(0), "rb", buffering=0 if sys.stdin.isatty() else -1) as script:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        while line := script.readline(_MOST_LINE_BYTES + 1):
            if len(line) > _MOST_LINE_BYTES:
                raise UsageError("a line of more than 1 MiB: the script ends here", hint="is it a script?")
            yield line.decode("utf-8", "surrogateescape").rstrip("\n")
