"""Start the detached controller of an accepted job, and leave the job to it.

Everybody can read the command line of a process. So that of a controller has only the number and the name of its job;
all else is in the journal, or goes through a pipe.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import clbalance
from clbalance.cli.cluster import ClusterContext, open_store
from clbalance.cli.console import Console
from clbalance.cli.options import ReachOptions
from clbalance.engine.run.start_queued import ACQUIRED
from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import JobRecord
from clbalance.ports import Journal
from clbalance.render import messages
from clbalance.wiring.folders import working_directory

_MODULE = "clbalance.cli.run.controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """What a controller needs besides its job, as it was typed: how to reach nodes, and where settings are found."""

    ssh: ReachOptions
    groups_conf: Path | None = None

    @classmethod
    def of(cls, cluster: ClusterContext) -> "ConnectOptions":
        """Those of this call."""
        return cls(ssh=cluster.ssh, groups_conf=cluster.groups_conf)


def start_controller(
    journal: Journal,
    job: int,
    name: str,
    options: ConnectOptions,
    console: Console,
    *,
    keep_open: Sequence[int] = (),
) -> None:
    """Start a controller for a job that we control, and leave the job to it. All else that `journal` controls goes too.

    If that fails, the job is queued, with a warning. `keep_open`: descriptors that the new process keeps.
    """
    lock = journal.hand_over()
    order = {
        "lock": lock.name,
        "keep_open": list(keep_open),
        "folder": str(working_directory()),
        "ssh": asdict(options.ssh),
        "groups_conf": None if options.groups_conf is None else str(options.groups_conf),
    }
    argv = [sys.executable, "-m", _MODULE, str(job), str(lock.fd), name]
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(clbalance.__file__).parent.parent,  # so that it finds this same program
            pass_fds=(lock.fd, *keep_open),
            start_new_session=True,
        )
        assert process.stdin is not None, "it was asked for"
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # it died: the job is queued
            pipe.write(json.dumps(order).encode())
    except OSError as error:
        console.say(messages.warning(f"job {job} waits, because its controller was not started: {error.strerror}"))
    finally:
        os.close(lock.fd)


def control_queued(record: JobRecord, name: str, options: ConnectOptions, console: Console) -> bool:
    """Start a controller for a queued job; False if another process has acquired the job."""
    with open_store(console, needed=True) as (_, journal):  # its own: it hands over all that it controls
        if not journal.acquire(record.id, ACQUIRED, attempt=record.attempt):
            return False
        start_controller(journal, record.id, name, options, console)
    return True
