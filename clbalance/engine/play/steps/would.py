"""What a step would do, in a few words, for check mode. Pure."""

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
    Variable,
    WaitFor,
)


def would(action: Action) -> str:  # noqa: C901, PLR0912 - one case for each action
    """What it would do."""
    match action:
        case RunProgram(program=program):
            said = f"run `{text_of(program)}`"
        case CopyFiles(sources=sources, destination=destination):
            said = f"copy {' '.join(sources)} to {destination}"
        case FetchFiles(sources=sources, folder=folder):
            said = f"fetch {' '.join(sources)} into {folder}"
        case DrainNode():
            said = "drain the node, and wait until no job runs there"
        case ResumeNode():
            said = "resume the node"
        case WaitFor():
            said = f"wait until {' and '.join(_awaited(action))}"
        case Reboot(program=program):
            said = f"reboot the node by `{text_of(program)}`"
        case CheckHealth(program=program):
            said = f"check its health by `{text_of(program)}`"
        case Rebalance():
            said = "rebalance the nodes"
        case Pause(ask=ask, seconds=seconds):
            said = f"ask: {ask}" if ask else f"wait {seconds or 0:g} s"
        case Assert(that=that):
            said = f"check that {that}"
        case Notify(url=url, program=program):
            said = f"tell {url}" if program is None else f"run `{text_of(program)}` on this host"
        case _:
            assert_never(action)
    return f"would {said}"


def _awaited(action: WaitFor) -> list[str]:
    awaited = [] if action.port is None else [f"something listens on port {action.port}"]
    if action.program is not None:
        awaited.append(f"`{text_of(action.program)}` exits with 0")
    if action.where is not None:
        awaited.append(action.where)
    return [*awaited, "no job runs there"] if action.no_jobs else awaited


_STRICT = ("set -e", "set -u", "set -eu")
"""Lines that do not say what a text does."""


def text_of(program: Program) -> str:
    """A program in one line: shell text, or its words."""
    match program:
        case ShellText(text=text):
            first, *more = [line for line in text.strip().splitlines() if line not in _STRICT] or [""]
            return f"{first} …" if more else first
        case Argv(words=words):
            return " ".join(f"$VAR_{word.name}" if isinstance(word, Variable) else word for word in words)
        case _:
            assert_never(program)
