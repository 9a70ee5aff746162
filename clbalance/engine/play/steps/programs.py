"""Run a program of a playbook on a node, over a link, and bring its exit code and its output."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, Protocol, TypeAlias

from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.steps.shell import BEAT_S, RemoteProgram, Told, hello_text, program_text, up_line
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.model.play_run import Result, StepEnded, StepState
from clbalance.model.playbook import Argv, Playbook, Program, ShellText, Step, Variable
from clbalance.ports import Link, LinkError, Transport
from clbalance.random_hex import random_hex

_SILENT_S: Final = 6.0 * BEAT_S
"""A node that does not even say that it is alive for so long is given up. What it runs may go on there."""
_TRIES: Final = 3
_AGAIN_S: Final = 0.5
_AFTER_TIMEOUT_S: Final = 15.0
"""How long the node may take to tell that a program was ended by its timeout."""
_MOST_VALUE_BYTES: Final = 96 << 10
"""Linux refuses a single variable of 128 KiB."""
TIMED_OUT: Final = frozenset({124, 137})
"""Exit codes of timeout(1): the program was ended by SIGTERM, or by SIGKILL."""

_NOT_FOUND: Final = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """It was not begun: the node could not be reached, or its `sudo` refused."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTold:
    """It was begun, and the node does not say how it ended."""

    reason: str


class Closable(Protocol):
    """What another thread may end."""

    def close(self) -> None:
        """End it at once. A call that waits raises."""
        ...


Ran: TypeAlias = Result | NotRun | NotTold


def run_on_node(
    transport: Transport, node: NodeName, program: RemoteProgram, stop: threading.Event, *, within_s: float
) -> Ran:
    """Run it to its end. `within_s`: for the connection. Once `stop` is set, the link is closed soon.

    The node ends the program at its timeout. If it cannot, nobody waits for it much longer.
    """
    for again in range(_TRIES):
        nonce = random_hex()
        with transport.link(node, "exec /bin/sh -s", within_s=within_s, idle_s=_SILENT_S) as link:
            most_s = None if program.timeout_s is None else within_s + program.timeout_s + _AFTER_TIMEOUT_S
            with closed_when(link, stop, most_s):
                if (failed := _shell_is_up(link, nonce)) is None:
                    return _carried_out(link, program, nonce)
        if stop.is_set() or not failed.again or again + 1 == _TRIES:
            return NotRun(reason=failed.cause.because(failed.reason))
        time.sleep(_AGAIN_S * 2**again)
    raise AssertionError("a loop of tries returns")


@contextlib.contextmanager
def closed_when(what: Closable, stop: threading.Event, most_s: float | None = None) -> Iterator[None]:
    """Close it from another thread once `stop` is set or the time is over."""
    done = threading.Event()
    until = None if most_s is None else time.monotonic() + most_s

    def watch() -> None:
        while not done.wait(0.1):
            if stop.is_set() or (until is not None and time.monotonic() > until):
                what.close()
                return

    threading.Thread(target=watch, name="close when stopped", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _shell_is_up(link: Link, nonce: str) -> LinkError | None:
    """Wait until the node's shell answers; None: it does. A banner and a noisy profile may come first."""
    heard = b""
    try:
        link.send(hello_text(nonce))
        while up_line(nonce) not in heard:
            data = link.recv(1 << 16)
            if not data:
                return LinkError(Cause.NO_SHELL, "it ended without a word")
            heard = (heard + data)[-(1 << 16) :]
    except LinkError as error:
        return error
    return None


def _carried_out(link: Link, program: RemoteProgram, nonce: str) -> Ran:
    told = Told(nonce)
    if program.sudo:
        program = replace(program, begins=f"begun {random_hex()}")
    try:
        link.send(program_text(program, nonce))
        link.send_end()
        while not told.is_over:
            data = link.recv(1 << 16)
            if not data:
                return NotTold(reason="its shell ended without the exit code")
            told.take(data)
            if told.is_too_long:
                return NotTold(reason="it sends more than it may")
    except LinkError as error:
        return NotTold(reason=error.cause.because(error.reason))
    result = told.result()
    if result is None:
        return NotTold(reason="its shell ended without the exit code")
    return _begun(result, program.begins) if program.begins else result


def _begun(result: Result, line: str) -> Result | NotRun:
    """The result without that line. Where it is missing, `sudo` said no, and why."""
    before, is_begun, after = result.err.partition(line)
    if is_begun:
        return replace(result, err=before + after.removeprefix("\n"))
    if result.rc == _NOT_FOUND:
        return NotRun(reason="the node has no sudo")
    said = last_line(result).removeprefix("sudo:").strip()
    return NotRun(reason=f"`sudo -n` is not possible: {said or f'exit code {result.rc}'}")


# -- what a program gets


def remote_program(
    program: Program, node: NodeName, step: Step, facts: StepFacts, *, env: Mapping[str, str] | None = None
) -> RemoteProgram:
    """The program of a step with its environment."""
    whole = RemoteProgram(
        env={**environment(node, step, facts), **(env or {})}, sudo=step.sudo, timeout_s=step.timeout_s
    )
    match program:
        case ShellText(text=text):
            return replace(whole, text=text)
        case Argv(words=words):
            return replace(whole, words=tuple(_word(word, facts.playbook) for word in words))


def _word(word: str | Variable, playbook: Playbook) -> str:
    return playbook.variables[word.name] if isinstance(word, Variable) else word


def environment(node: NodeName, step: Step, facts: StepFacts) -> dict[str, str]:
    """The variables that a program of a step sees, here or on the node."""
    env = {f"VAR_{name}": value for name, value in facts.playbook.variables.items()}
    for name, result in facts.registered.items():
        env[f"VAR_{name}"] = _value(result.out)
        env[f"VAR_{name}_rc"] = str(result.rc)
    return env | {
        "CLBALANCE_NODE": node,
        "CLBALANCE_PLAY": facts.playbook.name,
        "CLBALANCE_PLAY_RUN": str(facts.run),
        "CLBALANCE_STEP": step.name,
        "CLBALANCE_ATTEMPT": str(facts.attempt),
        "CLBALANCE_FAILED": _value(facts.failed),
        "CLBALANCE_DRY_RUN": "1" if facts.is_dry_run else "",
    }


def _value(text: str) -> str:
    """A node's text as the value of a variable: no NUL, no newline at its end, not too long."""
    data = text.replace("\0", "").rstrip("\n").encode("utf-8", "surrogateescape")
    return data[:_MOST_VALUE_BYTES].decode("utf-8", "ignore")


def ended_by(ran: Ran, ok_codes: frozenset[int], step: Step) -> StepEnded:
    """The end of a step whose program ran so."""
    match ran:
        case NotRun(reason=reason):
            return StepEnded(state=StepState.FAILED, reason=f"not begun: {reason}", changed=False)
        case NotTold(reason=reason):
            return StepEnded(state=StepState.UNKNOWN, reason=reason)
        case Result(rc=rc) if rc in ok_codes:
            return StepEnded(state=StepState.OK, result=ran)
        case Result():
            return StepEnded(state=StepState.FAILED, reason=why(ran, step), result=ran)


def why(result: Result, step: Step) -> str:
    """Why an exit code is a failure, with the last line that the program wrote."""
    last = last_line(result)
    if step.timeout_s is not None and result.rc in TIMED_OUT:
        return f"ended after its timeout of {step.timeout_s:g} s"
    return f"exit code {result.rc}: {last}" if last else f"exit code {result.rc}"


def last_line(result: Result) -> str:
    """What the program wrote last, on standard error if it did."""
    lines = [line.strip() for line in (result.err or result.out).splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
