"""What is done on this host in a node's turn: a program with `delegate_to: localhost`, and `notify`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.steps.programs import TIMED_OUT, NotTold, environment, remote_program
from clbalance.engine.play.steps.shell import RemoteProgram, Told, program_text
from clbalance.model import NodeName
from clbalance.model.play_run import Result, StepEnded, StepState
from clbalance.model.playbook import Notify, Step
from clbalance.random_hex import random_hex
from clbalance.units import counted

_LOOK_S: Final = 0.1
_MOST_ANSWER: Final = 4096
_ENDS_WITHIN_S: Final = 5.0
"""After SIGTERM; then SIGKILL."""


def run_here(program: RemoteProgram, facts: StepFacts, stop: threading.Event) -> Result | NotTold:
    """Run the program on this host as on a node, to its end or its timeout. Once `stop` is set, it is ended."""
    nonce = random_hex()
    told = Told(nonce)
    until = None if program.timeout_s is None else time.monotonic() + program.timeout_s
    program = replace(program, env={**_of_this_host(facts), **program.env}, timeout_s=None)  # no timeout(1) needed
    data: bytes | None = program_text(program, nonce)
    with subprocess.Popen(
        ["/bin/sh", "-s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        while True:
            try:
                told.take(child.communicate(data, timeout=_LOOK_S)[0])
                return told.result() or NotTold(reason="its shell ended without the exit code")
            except subprocess.TimeoutExpired:
                data = None  # it is being sent
            if stop.is_set():
                _end(child)
                return NotTold(reason="it was stopped")
            if until is not None and time.monotonic() > until:
                _end(child)
                return Result(rc=min(TIMED_OUT))


def _end(child: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to all that it has started, and SIGKILL to what is still there after a while."""
    until = time.monotonic() + _ENDS_WITHIN_S
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        while time.monotonic() < until:
            child.poll()
            os.killpg(child.pid, 0)  # until nobody is left
            time.sleep(_LOOK_S)
        os.killpg(child.pid, signal.SIGKILL)


def _of_this_host(facts: StepFacts) -> dict[str, str]:
    """What a program on this host needs beside what one on a node does. cron's `PATH` may lack `clbalance`."""
    return {
        "PATH": f"{os.environ.get('PATH', os.defpath)}:{Path(sys.executable).parent}",
        "CLBALANCE_PYTHON": sys.executable,
        "CLBALANCE_PLAY_NODES": ",".join(facts.nodes),
    }


def notify(node: NodeName, step: Step, action: Notify, facts: StepFacts, stop: threading.Event) -> StepEnded:
    """Run the program, or send one JSON value. A failure is told, and fails no step."""
    try:
        said = _posted(node, step, action, facts) if action.url else _ran(node, step, action, facts, stop)
    except (OSError, urllib.error.URLError, ValueError) as error:
        said = str(getattr(error, "reason", error))
    return StepEnded(state=StepState.OK, reason=f"nobody was told: {said}" if said else "")


def _ran(node: NodeName, step: Step, action: Notify, facts: StepFacts, stop: threading.Event) -> str:
    """Run the program here, with the environment of a step. Why it failed, or empty."""
    assert action.program is not None
    program = remote_program(action.program, node, step, facts)
    argv = list(program.words) or ["/bin/sh", "-c", program.text]
    env = {**os.environ, **environment(node, step, facts), "CLBALANCE_MESSAGE": action.message}
    with subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        until = time.monotonic() + action.within_s
        while child.poll() is None and time.monotonic() < until and not stop.wait(_LOOK_S):
            pass
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return f"ended after {counted(action.within_s, 'second')}"
        return "" if child.returncode == 0 else f"exit code {child.returncode}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An address that was typed is the only one that is asked."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _posted(node: NodeName, step: Step, action: Notify, facts: StepFacts) -> str:
    assert action.url is not None
    body = json.dumps(message_of(node, step, action, facts)).encode()
    request = urllib.request.Request(action.url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - http or https, as checked
    with urllib.request.build_opener(_NoRedirects).open(request, timeout=action.within_s) as answer:
        answer.read(_MOST_ANSWER)
    return ""


def message_of(node: NodeName, step: Step, action: Notify, facts: StepFacts) -> Mapping[str, object]:
    """What is told, for programs. `text` is what chat programs show."""
    text = action.message or f"playbook {facts.playbook.name}, run {facts.run}: {step.name} on {node}"
    return {
        "schema": 1,
        "text": f"{text}: {facts.failed}" if facts.failed else text,
        "playbook": facts.playbook.name,
        "run": facts.run,
        "node": node,
        "step": step.name,
        "failed": facts.failed or None,
    }
