"""Put work on the least loaded nodes of a cluster, over plain ssh.

For programs (docs/guide/library.md): `Cluster` asks nodes for their load, picks nodes and runs commands on them;
`Executor` is a `concurrent.futures.Executor` whose workers are the free places of a cluster. Errors are in
`clbalance.errors`. These names are imported when they are used: `import clbalance` alone imports nothing.
"""

__version__ = "0.1.0"
__all__ = ["Cluster", "Completed", "Executor", "Job", "JobStatus", "NodeLoad", "Nodes", "__version__"]

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all that `clbalance --version` needs
if TYPE_CHECKING:
    from clbalance.library.cluster import Cluster as Cluster
    from clbalance.library.executor import Executor as Executor
    from clbalance.library.job import Job as Job
    from clbalance.library.values import Completed as Completed
    from clbalance.library.values import JobStatus as JobStatus
    from clbalance.library.values import NodeLoad as NodeLoad
    from clbalance.library.values import Nodes as Nodes

_MODULES = {
    "Cluster": "cluster",
    "Completed": "values",
    "Executor": "executor",
    "Job": "job",
    "JobStatus": "values",
    "NodeLoad": "values",
    "Nodes": "values",
}


def __getattr__(name: str) -> object:
    """A public name, from its module, when it is used first."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.library.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
