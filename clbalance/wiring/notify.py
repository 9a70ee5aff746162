"""Run the command of `--notify` at a job's end, on this host."""

import contextlib
import os
import signal
from collections.abc import Callable

from clbalance.model.job_record import JobRecord

_WITHIN_S = 60.0  # seconds for the command; a mail program that hangs is killed
_REASON_CHARS = 1000
_STDERR = 2


def notify(warn: Callable[[str], None], command: str, record: JobRecord) -> None:
    """Run `command` by /bin/sh on this host, with the job's facts in its environment. Its exit code is ignored.

    `warn` is told if it cannot be run. Its text is in the environment as well: everybody can read a command line.
    """
    import subprocess  # most jobs have no such command

    from clbalance.nodeset import fold
    from clbalance.render.text import escape_line

    facts = {
        "CLBALANCE_NOTIFY": command,
        "CLBALANCE_JOB_ID": str(record.id),
        "CLBALANCE_JOB_NAME": record.name,
        "CLBALANCE_JOB_STATE": record.state.value,
        "CLBALANCE_JOB_REASON": escape_line(record.reason)[:_REASON_CHARS],  # it may contain text from a node
        "CLBALANCE_JOB_RC": "" if record.rc is None else str(record.rc),
        "CLBALANCE_NODELIST": fold(record.nodes),
    }
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'eval "$CLBALANCE_NOTIFY"'],
            stdin=subprocess.DEVNULL,
            stdout=_STDERR,  # our standard output is data
            env={**os.environ, **facts},
            start_new_session=True,
        )
    except OSError as error:
        warn(f"`--notify` was not run: {error.strerror}")
        return
    try:
        process.wait(_WITHIN_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
