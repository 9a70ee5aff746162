"""Tell of a job's end by a command of its user's, run here."""

import contextlib
import os
import signal
import subprocess

from clbalance.job import JobRecord
from clbalance.nodes import fold

_WITHIN_S = 60.0  # a mail program that hangs keeps nobody


def notify(command: str | None, record: JobRecord | None) -> None:
    """Run `command` by /bin/sh with the job's facts in its environment; what becomes of it is its own affair."""
    if command is None or record is None:
        return
    facts = {
        "CLBALANCE_JOB_ID": str(record.id),
        "CLBALANCE_JOB_NAME": record.name,
        "CLBALANCE_JOB_STATE": record.state.value,
        "CLBALANCE_JOB_REASON": record.reason,
        "CLBALANCE_JOB_RC": "" if record.rc is None else str(record.rc),
        "CLBALANCE_NODELIST": fold(record.nodes),
    }
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, env={**os.environ, **facts}, start_new_session=True
    )
    try:
        process.wait(_WITHIN_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
