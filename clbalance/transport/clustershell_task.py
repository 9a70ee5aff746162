"""ClusterShell's `Task`, without its tree mode, which few calls use (`with_tree_mode`).

Tree mode brings along `pickle`, `tarfile`, `tempfile` and an XML reader and writer, and these `urllib.request`, `http`,
`email` and `ssl`: together a tenth of what `load` would do before its first connection (docs/design/speed.md).
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType

# Each new `Task` loads this module, unless it is among `sys.modules`: also while another thread still imports it.
from ClusterShell.Worker import Ssh  # noqa: F401

_TREE_MODE = {
    "ClusterShell.Worker.Tree": ("TreeWorker",),
    "ClusterShell.Propagation": ("PropagationTreeRouter", "PropagationChannel"),
}
"""The modules of tree mode, and what `Task` imports from them: it looks at these names where it has a topology."""


@contextlib.contextmanager
def _without(modules: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Have imports in this block find modules in which these names are None; later ones find the real modules.

    No other thread may import them meanwhile; nothing here does.
    """
    missing = modules.keys() - sys.modules.keys()
    for name in missing:
        stand_in = ModuleType(name)
        stand_in.__dict__.update(dict.fromkeys(modules[name]))
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


with _without(_TREE_MODE):
    from ClusterShell.Task import Task, task_self, task_terminate

__all__ = ["Task", "task_self", "task_terminate", "with_tree_mode"]


def with_tree_mode() -> None:
    """Give `Task` the tree mode that it was imported without."""
    from importlib import import_module

    task = sys.modules[Task.__module__]
    for module, names in _TREE_MODE.items():
        for name in names:
            setattr(task, name, getattr(import_module(module), name))
