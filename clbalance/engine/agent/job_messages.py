"""Translate jobs to and from the agent's messages: lease requests, start specs, ends, the log of a slot. Pure."""

import binascii
import math
import re
import zlib
from typing import Annotated, Final, TypeAlias, assert_never

import msgspec

from clbalance.engine.agent.protocol import (
    AgentEnd,
    CancelledEnd,
    ExitedEnd,
    KilledEnd,
    OutOfMemoryEnd,
    Seconds,
    TimeoutEnd,
)
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName, Request, Unknown
from clbalance.model.job import Command, JobSpec, Script
from clbalance.model.job_files import KEPT_S, WORK_FOLDER
from clbalance.model.job_record import (
    Cancelled,
    End,
    Exited,
    FinalUsage,
    Killed,
    Lost,
    NodeFailed,
    OutOfMemory,
    TimedOut,
)
from clbalance.model.request import HiddenGpus
from clbalance.policy.jobs.record import FIRST_IS_OVER
from clbalance.policy.placement.gpu_choice import cpus_near, visible_gpus
from clbalance.policy.placement.gpus import gpu_candidates, matching_devices


def label_of(job: JobSpec) -> str:
    """The name of a claim on the nodes: the key of the job and the claim number."""
    return f"{job.key}.{job.claim}"


def end_of(told: AgentEnd, limit_s: float | None) -> End:
    """Convert the agent's message of an end."""
    match told:
        case ExitedEnd(rc=rc):
            return Exited(rc=rc)
        case KilledEnd(signal=signal):
            return Killed(signal=signal)
        case TimeoutEnd():
            return TimedOut(limit_s=limit_s or 0.0)
        case OutOfMemoryEnd(limit_bytes=limit_bytes, used_bytes=used_bytes):
            return OutOfMemory(limit_bytes=limit_bytes, used_bytes=used_bytes)
        case CancelledEnd(reason=reason) if reason == FIRST_IS_OVER:
            return Exited(rc=0)
        case CancelledEnd(reason=reason):
            return Cancelled(reason=reason)
        case _:
            assert_never(told)


class _UsageAtEnd(msgspec.Struct, frozen=True):
    user_s: Seconds
    system_s: Seconds
    max_rss_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]


def usage_at_end(told: object) -> FinalUsage | None:
    """The usage in the agent's message of an end; None if there is none, or it makes no sense."""
    try:
        usage = msgspec.convert(told, _UsageAtEnd)
    except msgspec.ValidationError:
        return None
    return FinalUsage(user_s=usage.user_s, system_s=usage.system_s, max_rss_bytes=usage.max_rss_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """The copies of a job, as each of them is told (docs/design/several-nodes.md)."""

    nodes: tuple[NodeName, ...]
    """By rank."""
    node_list: str
    """Folded."""
    cpus: float
    """As requested for each copy."""

    @property
    def hosts(self) -> str:
        """The host file: each node, by rank, on as many lines as it has cpus for the job."""
        return "".join(f"{node}\n" * max(1, math.ceil(self.cpus)) for node in self.nodes)


def environment(job: JobSpec, node: NodeName, rank: int, *, peers: Peers, port: int) -> dict[str, str]:
    """The environment variables of a copy (docs/design/command-line.md), `--env` included; never `SLURM_*`.

    `port`: a free port of the first node; 0: unknown.
    """
    meeting = {"CLBALANCE_MASTER_PORT": str(port)} if port else {}
    return {
        **job.env,
        "CLBALANCE_JOB_ID": str(job.id),
        "CLBALANCE_JOB_NAME": job.name,
        "CLBALANCE_NODELIST": peers.node_list,
        "CLBALANCE_NNODES": str(len(peers.nodes)),
        "CLBALANCE_MASTER_NODE": peers.nodes[0],
        **meeting,
        "CLBALANCE_NODEID": str(rank),
        "CLBALANCE_NODE": node,
        "CLBALANCE_SUBMIT_HOST": job.submit_host,
        "CLBALANCE_SUBMIT_DIR": job.submit_dir,
        "CLBALANCE_RESTART_COUNT": str(job.attempt - 1),
        "CLBALANCE_PREV_NODES": job.previous_nodes,
    }


def lease_request(request: Request, answer: Measured, job: JobSpec, hidden: HiddenGpus) -> dict[str, object]:
    """The lease that the node is asked for (docs/design/leases.md). It may have fewer free GPUs than we have seen.

    A job that asks for no GPU sees only some (docs/design/gpus.md).
    """
    found = gpu_candidates(matching_devices(answer, request), request) if request.gpus else ()
    candidates = () if isinstance(found, Unknown) else found
    # A copy that is bound to CPUs should get those near its GPUs.
    near = {"gpu_cpus": cpus_near(answer, candidates)} if candidates and request.limit_cpus else {}
    visible = visible_gpus(answer, request, hidden)
    seen = {} if visible is None else {"gpu_visible": visible}
    force = {"force": True} if request.constraints.force else {}
    lease = {
        "cpus": request.cpus,
        "mem_bytes": request.mem_bytes,
        "gpu_count": request.gpus,
        "gpu_candidates": list(candidates),
        "gpu_share": request.gpu_share,
        "slots": request.slots,
        "exclusive": request.exclusive,
        "name": job.name,
        "tmp_bytes": request.tmp_bytes,
        "limit_cpus": request.limit_cpus,
        "limit_mem_bytes": request.limit_mem_bytes,
        "time_limit_s": job.time_limit_s,
    }
    return lease | near | force | seen


def holding_spec(job: JobSpec) -> dict[str, object]:
    """The agent's `spec` for a copy that does nothing but hold its node for the first one.

    With a time limit it ends by itself when the first one must have ended: nothing has gone wrong then.
    """
    longest = "while :; do sleep 86400; done"
    if job.time_limit_s is not None:
        longest = f"exec sleep {math.ceil(job.time_limit_s + job.grace_s)}"
    return {"argv": ["/bin/sh", "-c", longest], "name": job.name, "grace_s": job.grace_s}


def start_spec(job: JobSpec, env: dict[str, str], *, hosts: str, fed: bool, folder: str = "") -> dict[str, object]:
    """The agent's `spec` for one copy.

    `hosts`: its host file. `fed`: its standard input is sent while it runs. `folder`: its folder on the node.
    """
    match job.payload:
        case Command(argv=argv):
            program: dict[str, object] = {"argv": list(argv)}
        case Script(name=name, args=args):
            program = {"script": {"name": name, "args": list(args)}}
        case _:
            assert_never(job.payload)
    return program | {
        "name": job.name,
        "env": env,
        "chdir": job.chdir,
        "chdir_explicit": job.chdir_explicit,
        "umask": job.umask,
        "login": job.login,
        "time_limit_s": job.time_limit_s,
        "grace_s": job.grace_s,
        "tied": job.pty is not None,
        "input": fed,
        "hosts": hosts,
        "pty": None if job.pty is None else {"rows": job.pty[0], "columns": job.pty[1]},
        **_with_files(job, folder),
    }


def _with_files(job: JobSpec, folder: str) -> dict[str, object]:
    """The fields for a job with files: it runs where they are, unless its user has named a folder."""
    if job.files is None:
        return {}
    place = {} if job.chdir_explicit else {"chdir": f"{folder}/{WORK_FOLDER}", "chdir_explicit": True}
    is_kept = bool(job.files.returned) or job.slots
    return {"results_s": KEPT_S if is_kept else 0.0, **place}


_LABEL = re.compile(r"[0-9a-f]{32}\.[1-9][0-9]{0,8}")


def relay_line(source: str, label: str) -> str:
    """A command line for any login shell. It has no text of the user in it, and names the job by its label only."""
    assert _LABEL.fullmatch(label), label
    packed = binascii.b2a_base64(zlib.compress(source.encode()), newline=False).decode()
    text = f'import binascii,zlib;exec(zlib.decompress(binascii.a2b_base64("{packed}")))'
    return f"exec python3 -I -S -c '{text}' {label}"


# Parse a slot's log, which arrives in pieces (docs/design/tasks.md). Malformed lines are skipped.

_LONGEST_LINE = 4096

Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
"""Bytes."""


class Began(msgspec.Struct, array_like=True, tag="s", frozen=True):
    """The task is about to be started."""

    number: int


class Returned(msgspec.Struct, array_like=True, tag="b", frozen=True):
    """The task was not started, and will not be."""

    number: int


class TaskFinished(msgspec.Struct, array_like=True, tag="e", frozen=True):
    """The task has ended with all its processes. `stdout` and `stderr`: the sizes of the slot's output then."""

    number: int
    end: AgentEnd
    seconds: Seconds
    stdout: Size
    stderr: Size


class Whole(msgspec.Struct, array_like=True, tag="z", frozen=True):
    """The log is complete: nothing follows."""


SlotEntry: TypeAlias = Began | Returned | TaskFinished | Whole

_decoder: msgspec.json.Decoder[SlotEntry] = msgspec.json.Decoder(SlotEntry)


class SlotLog:
    """Splits pieces of a log into entries."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, piece: bytes) -> list[SlotEntry]:
        """The entries that this piece completes."""
        *lines, rest = (self._partial + piece).split(b"\n")
        self._partial = rest if len(rest) <= _LONGEST_LINE else b""
        return [entry for entry in map(_entry, lines) if entry is not None]


def _entry(line: bytes) -> SlotEntry | None:
    try:
        return _decoder.decode(line)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return None


COULD_NOT_LOG: Final = Exited(rc=1)
"""The end of a slot that cannot write its log any more, as when its disk is full."""


def tells_all(end: End, *, closed: bool) -> bool:
    """Whether a log that was read to its end mentions every task that the slot has started. `end`: that of the slot.

    A slot that ends by itself closes its log. Starts are written before they are made. So the log of a slot that was
    killed, or could not write any more, mentions all starts, too.
    """
    if isinstance(end, Lost | NodeFailed):
        return False
    return closed or isinstance(end, Killed) or end == COULD_NOT_LOG
