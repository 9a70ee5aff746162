"""What a step does, in a few words: for `--dry-run` and `--explain`. Pure."""

from typing import assert_never

from clbalance.model.playbook import (
    Action,
    Argv,
    Assert,
    CheckHealth,
    CopyFiles,
    DrainNode,
    FetchFiles,
    Notify,
    Pause,
    Program,
    Rebalance,
    Reboot,
    ResumeNode,
    RunProgram,
    ShellText,
    Step,
    Variable,
    WaitFor,
)


def describe(step: Step) -> str:
    """What the step does, as an order: `run …`."""
    return f"{_action(step.action)} on this host" if step.on_this_host else _action(step.action)


def _action(action: Action) -> str:  # noqa: C901, PLR0911, PLR0912 - one case for each action
    match action:
        case RunProgram(program=program):
            return f"run `{program_line(program)}`"
        case CopyFiles(sources=sources, destination=destination):
            return f"copy {' '.join(sources)} to {destination}"
        case FetchFiles(sources=sources, folder=folder):
            return f"fetch {' '.join(sources)} into {folder}"
        case DrainNode():
            return "drain the node, and wait until no job runs there"
        case ResumeNode(earlier_runs=earlier_runs):
            return f"resume the node{', also if an earlier run has drained it' * earlier_runs}"
        case WaitFor():
            return f"wait until {' and '.join(_awaited(action))}"
        case Reboot(program=program):
            return f"reboot the node by `{program_line(program)}`"
        case CheckHealth(program=program):
            return f"check its health by `{program_line(program)}`"
        case Rebalance():
            return "rebalance the nodes"
        case Pause(ask=ask, seconds=seconds):
            return f"ask: {ask}" if ask else f"wait {seconds or 0:g} s"
        case Assert(that=that):
            return f"check that {that}"
        case Notify(url=url, program=program):
            return f"tell {url}" if program is None else f"run `{program_line(program)}` on this host"
        case _:
            assert_never(action)


def _awaited(action: WaitFor) -> list[str]:
    awaited = [] if action.port is None else [f"something listens on port {action.port}"]
    if action.program is not None:
        awaited.append(f"`{program_line(action.program)}` exits with 0")
    if action.where is not None:
        awaited.append(action.where)
    return [*awaited, "no job runs there"] if action.no_jobs else awaited


_STRICT = ("set -e", "set -u", "set -eu")
"""Lines that do not say what a text does."""


def lines_of(text: str) -> list[str]:
    """The lines of shell text that say what it does, at least one."""
    return [line for line in text.strip().splitlines() if line not in _STRICT] or [""]


def program_line(program: Program) -> str:
    """A program in one line: shell text, or its words."""
    match program:
        case ShellText(text=text):
            first, *more = lines_of(text)
            return f"{first} …" if more else first
        case Argv(words=words):
            return " ".join(f"$VAR_{word.name}" if isinstance(word, Variable) else word for word in words)
        case _:
            assert_never(program)
