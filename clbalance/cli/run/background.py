"""Fork a detached controller, and run the command of `--notify` at a job's end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TextIO

from clbalance.errors import ClbalanceError, ExitCode
from clbalance.model.job_record import JobRecord
from clbalance.nodeset import fold
from clbalance.render import messages
from clbalance.render.text import escape_line


def run_detached(work: Callable[[Callable[[int], None]], None]) -> int | None:
    """Fork a process that does `work`. Returns the job number that it announces; None: there was nothing to do.

    A `ClbalanceError` before the number is raised here. Fork before any file is opened or any node is asked. The new
    process leaves our terminal and session at once, and our standard error when it has announced the number.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() == 0:
        code = 1
        try:
            os.close(reader)
            _leave_terminal()
            code = _at_work(work, os.fdopen(writer, "w"))
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        parsed = json.loads(pipe.read() or '{"message": "the detached controller ended without an answer"}')
    if "number" in parsed:
        return None if parsed["number"] is None else int(parsed["number"])
    error = ClbalanceError(parsed["message"], hint=parsed.get("hint", ""))
    error.exit_code = ExitCode(parsed.get("exit_code", error.exit_code))
    raise error


def _at_work(work: Callable[[Callable[[int], None]], None], pipe: TextIO) -> int:
    def announce(parsed: dict[str, object]) -> None:
        """Send the first message only: the parent reads up to the end of the pipe, then stops."""
        if not pipe.closed:
            _redirect_to_null(2)
            with pipe:
                json.dump(parsed, pipe)

    try:
        work(lambda number: announce({"number": number}))
    except ClbalanceError as error:
        announce({"message": error.message, "hint": error.hint, "exit_code": error.exit_code})
        return error.exit_code
    except OSError as error:
        announce({"message": f"{error.filename or 'the system'}: {error.strerror}"})
        return ExitCode.FAILED
    announce({"number": None})
    return 0


def _leave_terminal() -> None:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _redirect_to_null(0, 1)


def _redirect_to_null(*fds: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in fds:
        os.dup2(null, fd)
    os.close(null)


# `--notify`

_WITHIN_S = 60.0  # seconds for the command; a mail program that hangs is killed
_REASON_CHARS = 1000


def notify(command: str | None, record: JobRecord | None) -> None:
    """Run `command` by /bin/sh on this host, with the job's facts in its environment. Its exit code is ignored."""
    if command is None or record is None:
        return
    facts = {
        "CLBALANCE_JOB_ID": str(record.id),
        "CLBALANCE_JOB_NAME": record.name,
        "CLBALANCE_JOB_STATE": record.state.value,
        "CLBALANCE_JOB_REASON": escape_line(record.reason)[:_REASON_CHARS],  # it may contain text from a node
        "CLBALANCE_JOB_RC": "" if record.rc is None else str(record.rc),
        "CLBALANCE_NODELIST": fold(record.nodes),
    }
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, env={**os.environ, **facts}, start_new_session=True
        )
    except OSError as error:
        sys.stderr.write(messages.warning(f"`--notify` was not run: {error.strerror}"))
        return
    try:
        process.wait(_WITHIN_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
