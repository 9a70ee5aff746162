"""How things that go wrong are told."""

import os

from clbalance.node.agent.limits import STORAGE_ERRNOS


class RefusedError(Exception):
    """This job does not run here: `kind` for programs, `why` for people, `rc` where a shell would have had one."""

    def __init__(self, kind: str, why: str, rc: "int | None" = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
        self.rc = rc


class MisfitError(Exception):
    """A request, or a field of one, that cannot be meant."""


def shown(text: bytes) -> str:
    """Foreign bytes as text that any JSON reader takes."""
    return text.decode("utf-8", "backslashreplace")


def refusal_of(error: OSError) -> RefusedError:
    """Why a job that has not started cannot, from what the system said."""
    kind = "storage" if error.errno in STORAGE_ERRNOS else "resources"
    return RefusedError(kind, os.strerror(error.errno or 0))
