"""`notify`: tell somebody, from this host."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.steps.programs import environment, remote_program
from clbalance.model import NodeName
from clbalance.model.play_run import StepEnded, StepState
from clbalance.model.playbook import Notify, Step
from clbalance.units import counted

_LOOK_S: Final = 0.1
_MOST_ANSWER: Final = 4096


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
