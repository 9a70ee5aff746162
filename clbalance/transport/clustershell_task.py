"""ClusterShell's `Task`, without the HTTP client that it imports and never uses.

Its tree mode, which we do not use, imports an XML writer from `xml.sax.saxutils`. That imports `urllib.request`, for
documents named by URLs, and with it `http`, `email` and `ssl`: 16 ms (docs/design/speed.md).
"""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

# Each new `Task` loads this module, unless it is among `sys.modules`: also while another thread still imports it.
from ClusterShell.Worker import Ssh  # noqa: F401


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    """Have imports in this block find an empty module; later ones find the real one.

    No other thread may import it meanwhile: steps of playbooks use it, and are imported before any node is reached.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]


with _without("urllib.request"):
    from ClusterShell.Task import Task, task_self, task_terminate

__all__ = ["Task", "task_self", "task_terminate"]
