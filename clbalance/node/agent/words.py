"""How things that go wrong are told."""

import os
import signal

from clbalance.node.agent.limits import STORAGE_ERRNOS


class RefusedError(Exception):
    """This job does not run here: `kind` for programs, `why` for people, `rc` where a shell would have had one.

    `promised_cpus`: what is promised here by now, where that is the reason.
    """

    def __init__(self, kind: str, why: str, rc: "int | None" = None, promised_cpus: "float | None" = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
        self.rc = rc
        self.promised_cpus = promised_cpus

    def told(self) -> "dict[str, object]":
        """What an event says of it."""
        told: "dict[str, object]" = {"kind": self.kind, "why": self.why, "rc": self.rc}
        if self.promised_cpus is not None:
            told["promised_cpus"] = self.promised_cpus
        return told


class MisfitError(Exception):
    """A request, or a field of one, that cannot be meant."""


def fail_point(name: str) -> None:
    """Die here if the lab says so: the windows between two steps, for tests (docs/design/jobs.md)."""
    if os.environ.get("CLBALANCE_FAIL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def shown(text: bytes) -> str:
    """Foreign bytes as text that any JSON reader takes."""
    return text.decode("utf-8", "backslashreplace")


def refusal_of(error: OSError) -> RefusedError:
    """Why a job that has not started cannot, from what the system said."""
    kind = "storage" if error.errno in STORAGE_ERRNOS else "resources"
    return RefusedError(kind, os.strerror(error.errno or 0))
