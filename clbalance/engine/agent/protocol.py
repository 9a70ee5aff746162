"""The agent protocol (docs/design/agent.md) in types: decode lines from a node to events, encode requests to lines.

Pure. A line without the frame, or with content that the protocol does not allow, is not an event: nothing that a
node sends is trusted further than its type.
"""

import json
from typing import Annotated, Literal, TypeAlias

import msgspec

CHUNK_BYTES = 48 << 10
"""Raw bytes in one `put` or one `output`, so that a line stays far below the line limits on both sides."""


Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
"""About three decades at most, so that it can be used as a difference of times."""


class ExitedEnd(msgspec.Struct, tag_field="kind", tag="exited", frozen=True):
    """The first process ended by itself."""

    rc: Annotated[int, msgspec.Meta(ge=0, le=255)]


class KilledEnd(msgspec.Struct, tag_field="kind", tag="killed", frozen=True):
    """A signal ended it."""

    signal: Annotated[int, msgspec.Meta(ge=1, le=127)]


class TimeoutEnd(msgspec.Struct, tag_field="kind", tag="timeout", frozen=True):
    """The time limit ended it."""


class OutOfMemoryEnd(msgspec.Struct, tag_field="kind", tag="out_of_memory", frozen=True):
    """It took more memory than its limit; `used_bytes` None: the kernel ended it."""

    limit_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
    used_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)] | None = None


class CancelledEnd(msgspec.Struct, tag_field="kind", tag="cancelled", frozen=True, rename={"reason": "why"}):
    """We ended it."""

    reason: str = ""


AgentEnd: TypeAlias = ExitedEnd | KilledEnd | TimeoutEnd | OutOfMemoryEnd | CancelledEnd


class Hello(msgspec.Struct, tag_field="ev", tag="hello", frozen=True):
    """The agent is up."""

    protocol: int
    python: str
    uid: int
    node_dir: str


class Claimed(msgspec.Struct, tag_field="ev", tag="claimed", frozen=True, rename={"incarnation": "birth"}):
    """The job's folder was made for us: a second start of the same claim would be refused.

    `boot_id` and `incarnation` show later whether the node was booted or its folder was wiped. `folder`: its path.
    """

    job: str
    boot_id: str
    incarnation: str
    folder: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class SetLimit(msgspec.Struct, frozen=True):
    """A limit of ours over a node set, which the client counts before it starts the job (docs/design/fair-share.md).

    `said` names it in words, `where` its file and line on the node.
    """

    nodes: Annotated[str, msgspec.Meta(max_length=4096)]
    name: Literal["MaxJobs", "MaxCpus", "MaxGpus", "MaxMem"]
    most: float
    said: str
    where: str


class Admitted(msgspec.Struct, tag_field="ev", tag="admitted", frozen=True):
    """The node has granted the lease. `gpus`: the devices, by UUID. `port`: a free TCP port; 0: none was found."""

    job: str
    gpus: tuple[str, ...] = ()
    port: int = 0
    over: tuple[SetLimit, ...] = ()
    """The limits over node sets under which the job must be counted before it is started."""


class Stored(msgspec.Struct, tag_field="ev", tag="stored", frozen=True):
    """The node has `size` bytes of a file of the job."""

    job: str
    file: str
    size: int


class Started(msgspec.Struct, tag_field="ev", tag="started", frozen=True):
    """The job's first process runs. `limits`: the means by which each of its limits is kept."""

    job: str
    pid: int
    cwd: str
    warnings: tuple[str, ...] = ()
    limits: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=400)], ...], msgspec.Meta(max_length=8)] = ()


class Refused(msgspec.Struct, tag_field="ev", tag="refused", frozen=True, rename={"reason": "why"}):
    """The job does not run there. `rc`: the exit code that a shell would give (126, 127)."""

    job: str
    kind: str
    reason: str
    rc: int | None = None
    promised_cpus: float | None = None
    """The CPUs allocated by now, if others filled the node first and the client should plan again."""


class Output(msgspec.Struct, tag_field="ev", tag="output", frozen=True):
    """A piece of the job's output, from byte `offset` on."""

    job: str
    stream: str
    offset: int
    data: bytes


class Taken(msgspec.Struct, tag_field="ev", tag="taken", frozen=True):
    """The job has taken `size` bytes of its input. `over`: it needs no more, because it has all or reads none."""

    job: str
    size: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
    over: bool


class Ended(msgspec.Struct, tag_field="ev", tag="ended", frozen=True):
    """The job has ended and all its output has been sent."""

    job: str
    end: AgentEnd
    seconds: Seconds
    warnings: tuple[str, ...] = ()
    usage: object = None
    """As recorded on the node, where the job itself can write: `job_messages.usage_at_end` reads it."""


class Current(msgspec.Struct, tag_field="ev", tag="current", frozen=True):
    """The job still runs, and all its output so far has been sent."""

    job: str


class LeaseKept(msgspec.Struct, tag_field="ev", tag="kept", frozen=True):
    """The lease of a job that is not started yet was extended for as long again."""

    job: str


class Checkpointed(msgspec.Struct, tag_field="ev", tag="checkpointed", frozen=True):
    """The job has rewritten its checkpoint file."""

    job: str


class InquiryAnswer(msgspec.Struct, tag_field="ev", tag="settled", frozen=True, rename={"reason": "why"}):
    """The state of a copy that was launched through another agent (docs/design/jobs.md)."""

    job: str
    state: Literal["running", "ended", "void", "gone", "absent", "claimed"]
    reason: str = ""
    seconds: Seconds | None = None
    """How long it has been running; None if it does not run, or its node cannot tell."""


class Status(msgspec.Struct, tag_field="ev", tag="status", frozen=True):
    """The current state of a job. Usage is None if it is not known."""

    job: str
    state: Literal["running", "ended", "void", "absent", "claimed"]
    pid: int | None = None
    seconds: float | None = None
    processes: int | None = None
    user_s: float | None = None
    system_s: float | None = None
    mem_bytes: int | None = None


class AgentError(msgspec.Struct, tag_field="ev", tag="error", frozen=True, rename={"reason": "why"}):
    """The agent could not understand a request, or failed at it."""

    reason: str
    job: str | None = None
    """None: the error concerns no single job."""


class Drained(msgspec.Struct, tag_field="ev", tag="drained", frozen=True):
    """Our drain mark is on the node."""

    path: str


class Resumed(msgspec.Struct, tag_field="ev", tag="resumed", frozen=True):
    """The node has no drain mark of ours. `was`: whether there was one."""

    was: bool


class Alive(msgspec.Struct, tag_field="ev", tag="alive", frozen=True):
    """The answer to `ping`."""


class ReapedItem(msgspec.Struct, frozen=True, rename={"reason": "why"}):
    """A leftover of ours. `reason`: why it is still there."""

    kind: Literal["processes", "lease", "half", "job", "boot", "claim", "trouble"]
    name: str
    bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
    pids: tuple[int, ...] = ()
    reason: str = ""


class Findings(msgspec.Struct, tag_field="ev", tag="reaped", frozen=True):
    """Our leftovers on the node, or a part of them. The next part is requested with `last`."""

    found: tuple[ReapedItem, ...]
    last: str
    more: bool


AgentEvent: TypeAlias = (
    Hello
    | Claimed
    | Admitted
    | Stored
    | Started
    | Refused
    | Output
    | Taken
    | Ended
    | Current
    | LeaseKept
    | Checkpointed
    | InquiryAnswer
    | Status
    | Drained
    | Resumed
    | Findings
    | Alive
    | AgentError
)

NotForFollow: TypeAlias = (
    Claimed | Admitted | Stored | Taken | LeaseKept | Checkpointed | Status | Drained | Resumed | Findings | Alive
)
"""Events that are no news of a followed copy: answers to requests of admission, upload, input, ping and so on."""

_decoder: msgspec.json.Decoder[AgentEvent] = msgspec.json.Decoder(AgentEvent)


def decode(line: bytes, nonce: str) -> AgentEvent | None:
    """The event in `line`; None if the line is not a valid event."""
    frame = b"\x1eCLB1 " + nonce.encode() + b" "
    if not line.startswith(frame):
        return None
    try:
        return _decoder.decode(line[len(frame) :])
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return None


def encode(op: str, **fields: object) -> bytes:
    """One request as a line. `data` travels as base64; file names that are not UTF-8, as lone surrogates."""
    request = {"op": op, **fields}
    if "data" in fields:
        return msgspec.json.encode(request) + b"\n"  # takes a quarter of the time, but no lone surrogates
    return json.dumps(request).encode() + b"\n"
