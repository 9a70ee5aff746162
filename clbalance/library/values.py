"""What the library returns: frozen values. Only documented attributes are promised to stay."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from clbalance.errors import TaskFailedError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import fold


class Nodes(tuple[str, ...]):
    """Names of nodes, best first. `str()` folds them: `gpu[1-3,7]`."""

    __slots__ = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """These names, in their order."""
        return cls(names)

    @property
    def folded(self) -> str:
        """One node set in ClusterShell's syntax, in its order; empty for no nodes."""
        return fold(map(NodeName, self))

    def __str__(self) -> str:
        return self.folded


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """What one node answered. A figure that is not known is None, never 0; `figures["unknown"]` has the reason."""

    name: str
    state: str
    """`up`, `busy`, `draining`, `drained`, `suspect`, `unfit`, `unknown` or `down`; work is placed on `up` nodes."""
    reason: str
    """Why it is not `up`; empty if there is nothing to say."""
    score: float | None
    """0 to 100, higher is better, for a job of one cpu. None: such a job does not fit."""
    cpus: int | None
    r1m: float | None
    """Processes that run or wait for a cpu, mean over a minute; `r5m` and `r15m` likewise (LSF's indices)."""
    r5m: float | None
    r15m: float | None
    ut_pct: float | None
    """Cpu use in per cent, 0 to 100, since the node was last asked."""
    mem_available_bytes: int | None
    mem_total_bytes: int | None
    tmp_free_bytes: int | None
    gpus: tuple[Mapping[str, Any], ...]
    """A mapping for each GPU, as in `clbalance load --gpus --json`; empty also if GPUs could not be read."""
    figures: Mapping[str, Any]
    """All that `clbalance load --json` prints for the node, by its keys, with the units in them."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From the JSON document of a node."""
        plain = ("cpus", "r1m", "r5m", "r15m", "ut_pct", "mem_available_bytes", "mem_total_bytes", "tmp_free_bytes")
        return cls(
            name=document["name"],
            state=document["state"],
            reason=document["reason"] or "",
            score=document["score"],
            gpus=tuple(document["gpus"] or ()),
            figures=document,
            **{key: document[key] for key in plain},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A command that has run, with the names of `subprocess.CompletedProcess`."""

    args: tuple[str, ...]
    """Its words, as they were executed."""
    returncode: int
    """Its exit code; -N if signal N ended it."""
    stdout: bytes
    stderr: bytes
    node: str
    seconds: float
    """From its start to its end, by the node's clock."""
    is_cut: bool = False
    """It has written more than 64 MiB to a stream; the rest was dropped."""

    @property
    def text(self) -> str:
        """Its standard output as UTF-8; other bytes are written in hexadecimal."""
        return self.stdout.decode("utf-8", "backslashreplace")

    def check(self) -> Self:
        """Itself; `TaskFailedError` if the exit code is not 0."""
        if self.returncode:
            how = f"signal {-self.returncode} ended it" if self.returncode < 0 else f"exit code {self.returncode}"
            raise TaskFailedError(
                f"`{self.args[0]}` on {self.node}: {how}", state="FAILED", node=self.node, completed=self
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What is known of a job."""

    id: int
    name: str
    state: str
    """Slurm's words: PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT, NODE_FAIL, OUT_OF_MEMORY."""
    reason: str
    """Why it is pending, or why it ended as it did; empty if the state says it all."""
    nodes: Nodes
    """Where it runs or ran; empty before its first start."""
    returncode: int | None
    """As `clbalance run` would exit; None until the job is over."""
    is_over: bool
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
