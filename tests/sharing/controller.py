"""A controller: somebody who wants jobs run and asks again while there is no room for them."""

import random
import time
from dataclasses import dataclass

from tests.cli.command import Command

from .diary import NAME, WORK

_PATIENCE_S = 200.0
_PAUSE_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One call of `clbalance run`; its name stands in the diaries of the nodes where its job began."""

    name: str
    ran: bool


def insist(clbalance: Command, arguments: tuple[str, ...], job: str) -> list[Try]:
    """Every try until the job has run to its end; only for want of room there is another one."""
    restart_policy: list[Try] = []
    give_up_at = time.monotonic() + _PATIENCE_S
    while not (restart_policy and restart_policy[-1].ran):
        assert time.monotonic() < give_up_at, f"{job}: {len(restart_policy)} tries"
        name = f"{job}.{len(restart_policy)}"
        done = clbalance("run", "-q", *arguments, "--env", f"{NAME}={name}", "-c", WORK)
        assert done.rc == 0 or (done.rc == 125 and "nodes fit" in done.stderr), done
        restart_policy.append(Try(name=name, ran=done.rc == 0))
        if done.rc:
            time.sleep(random.uniform(0, _PAUSE_S))
    return restart_policy
