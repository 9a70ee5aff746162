"""One step of a playbook in sentences. Texts are as typed: who shows them escapes them."""

from collections.abc import Iterator, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model.playbook import (
    Action,
    Argv,
    Assert,
    CheckHealth,
    CopyFiles,
    DrainNode,
    Notify,
    OnDeadline,
    Pause,
    Reboot,
    RunProgram,
    ShellText,
    Step,
    WaitFor,
)
from clbalance.policy.play.describe import describe, lines_of
from clbalance.render.text import span
from clbalance.units import counted

_AT_DEADLINE: Final = {
    OnDeadline.FAIL: "the turn fails",
    OnDeadline.SKIP: "the node is resumed, and left out of this run",
    OnDeadline.FORCE: "the turn goes on, beside those jobs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedStep:
    """`does`: what is done, as an order. `more`: a sentence for each thing that the step says beyond that."""

    name: str
    line: int
    does: str
    more: tuple[str, ...]


def explained_steps(steps: Sequence[Step]) -> tuple[ExplainedStep, ...]:
    """The steps in their order."""
    return tuple(
        ExplainedStep(
            name=step.name,
            line=step.line,
            does=describe(step) + _by(step),
            more=(*_conditions(step), *_of_action(step.action), *_limits(step), *_after(step)),
        )
        for step in steps
    )


def _by(step: Step) -> str:
    user = f", as {step.user}" if step.user is not None else ""
    return f"{user}, by sudo" if step.sudo else user


def _conditions(step: Step) -> Iterator[str]:
    if step.when is not None:
        yield f"Only if {step.when}; otherwise, or if that is unknown, it is skipped."
    if step.is_ruled_out:
        yield "With these variables it is skipped on all nodes."
    if step.run_once:
        yield "Once for the whole run, on the node that comes to it first."
    if step.throttle is not None:
        yield f"On {counted(step.throttle, 'node')} at once at most."


def _of_action(action: Action) -> Iterator[str]:
    match action:
        case RunProgram():
            yield from _run(action)
        case CopyFiles():
            yield from _copy(action)
        case DrainNode():
            yield _deadline(action)
        case WaitFor():
            yield f"It looks every {span(action.every_s)}. After {span(action.within_s)} it fails."
        case Reboot():
            with_jobs = "Also if jobs run there." if action.even_with_jobs else "Not if a job runs there."
            yield f"{with_jobs} It fails unless the node is back within {span(action.within_s)}, with another boot id."
        case CheckHealth():
            yield from _health(action)
        case Pause(ask=ask) if ask:
            yield "Somebody at the terminal is asked. Without a terminal the run pauses here."
        case Assert(message=message) if message:
            yield f"If that is not true, the step fails: {message}"
        case Notify():
            yield "If that fails, there is a warning, and the turn goes on."
        case _:
            pass


def _run(action: RunProgram) -> Iterator[str]:
    match action.program:
        case ShellText(text=text) if (more := len(lines_of(text)) - 1) > 0:
            yield f"The program has {counted(more, 'line')} more."
        case Argv():
            yield "No shell sees its words."
        case _:
            pass
    if action.chdir is not None:
        yield f"In the folder {action.chdir}."
    if action.env:
        yield f"With {' '.join(f'{name}={value}' for name, value in action.env.items())} in its environment."
    if action.ok_codes != {0}:
        yield f"It is done if the exit code is {' or '.join(map(str, sorted(action.ok_codes)))}."
    if action.output is not None:
        yield f"What it prints is written to {action.output}.NODE on this host."


def _copy(action: CopyFiles) -> Iterator[str]:
    if action.sync:
        yield "What the source does not have is deleted in the copied folders."
    if action.mode is not None:
        yield f"Files get the mode {action.mode:04o}."


def _deadline(action: DrainNode) -> str:
    if action.deadline_s is None:
        return "It waits as long as jobs run there."
    return f"If jobs still run there after {span(action.deadline_s)}, {_AT_DEADLINE[action.on_deadline]}."


def _health(action: CheckHealth) -> Iterator[str]:
    yield f"Every {span(action.every_s)}. The node is healthy once it has passed {_times(action.passes)}."
    yield f"It is sick once it has failed {_times(action.fails)}, or has not passed after {span(action.within_s)}."
    yield "Exit code 0 passes, 1 and 2 fail. Anything else is unknown, and changes nothing."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times in a row"


def _limits(step: Step) -> Iterator[str]:
    if step.timeout_s is not None:
        yield f"It is ended after {span(step.timeout_s)}, and fails."
    if step.retries:
        until = "" if step.until is None else f", until {step.until}"
        yield f"It is repeated {step.retries} times at most, {span(step.delay_s)} apart{until}."


def _after(step: Step) -> Iterator[str]:
    if step.register is not None:
        yield f"Its result is kept for later steps, as `$VAR_{step.register}` and `{step.register}.rc`."
    if step.ignore_errors:
        yield "If it fails, the turn goes on."
    if step.runs_in_check:
        yield "It changes nothing: `--dry-run` carries it out, too."
    if step.idempotent:
        yield "It may be repeated if nobody knows whether it ran."
