"""Tell of a job's end by a command of its user's, run here."""

import contextlib
import os
import signal
import subprocess
import sys

from clbalance.job import JobRecord
from clbalance.nodes import fold
from clbalance.render import talk
from clbalance.render.untrusted import visible_line

_WITHIN_S = 60.0  # a mail program that hangs keeps nobody
_REASON_CHARS = 1000


def notify(command: str | None, record: JobRecord | None) -> None:
    """Run `command` by /bin/sh with the job's facts in its environment; what becomes of it is its own affair."""
    if command is None or record is None:
        return
    facts = {
        "CLBALANCE_JOB_ID": str(record.id),
        "CLBALANCE_JOB_NAME": record.name,
        "CLBALANCE_JOB_STATE": record.state.value,
        "CLBALANCE_JOB_REASON": visible_line(record.reason)[:_REASON_CHARS],  # a node may have said it
        "CLBALANCE_JOB_RC": "" if record.rc is None else str(record.rc),
        "CLBALANCE_NODELIST": fold(record.nodes),
    }
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, env={**os.environ, **facts}, start_new_session=True
        )
    except OSError as error:
        sys.stderr.write(talk.warning(f"`--notify` was not run: {error.strerror}"))
        return
    try:
        process.wait(_WITHIN_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
