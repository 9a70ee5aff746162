"""The agent's words (docs/design/agent.md), typed: lines from a node become events, requests become lines.

Pure. A line that is not in the frame, or whose content is not exactly what the protocol allows, is not an event:
nothing a node says is trusted further than its type.
"""

import binascii
import json
import zlib
from functools import cache
from typing import Annotated, Literal, TypeAlias

import msgspec

CHUNK_BYTES = 48 << 10
"""Raw bytes in one `put` or one `output`, so that a line stays far below the line limits on both sides."""


Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
"""Three decades at most: what is to become a difference of times must be able to."""


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
    """The job's folder is ours: a second start of the same attempt would be refused.

    `boot_id` and `incarnation` tell later whether the node and its folder are still the same.
    """

    job: str
    boot_id: str
    incarnation: str


class Admitted(msgspec.Struct, tag_field="ev", tag="admitted", frozen=True):
    """The node has promised what was asked for; `gpus` are the devices, by UUID."""

    job: str
    gpus: tuple[str, ...] = ()


class Stored(msgspec.Struct, tag_field="ev", tag="stored", frozen=True):
    """`size` bytes of a file that a job needs are on the node."""

    job: str
    file: str
    size: int


class Started(msgspec.Struct, tag_field="ev", tag="started", frozen=True):
    """The job's first process runs; `limits` tell by what each of its limits is kept."""

    job: str
    pid: int
    cwd: str
    warnings: tuple[str, ...] = ()
    limits: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=400)], ...], msgspec.Meta(max_length=8)] = ()


class Refused(msgspec.Struct, tag_field="ev", tag="refused", frozen=True, rename={"reason": "why"}):
    """The job does not run there; `rc` as a shell would have said it (126, 127)."""

    job: str
    kind: str
    reason: str
    rc: int | None = None
    promised_cpus: float | None = None
    """By now, where others were faster and the client had better look again."""


class Output(msgspec.Struct, tag_field="ev", tag="output", frozen=True):
    """A piece of what the job wrote, from `offset` on."""

    job: str
    stream: str
    offset: int
    data: bytes


class Ended(msgspec.Struct, tag_field="ev", tag="ended", frozen=True):
    """The job has ended and all its output has been sent."""

    job: str
    end: AgentEnd
    seconds: Seconds
    warnings: tuple[str, ...] = ()


class Current(msgspec.Struct, tag_field="ev", tag="current", frozen=True):
    """The job runs on, and all that it has written so far has been sent."""

    job: str


class LeaseKept(msgspec.Struct, tag_field="ev", tag="kept", frozen=True):
    """The lease of a job that has not been started is kept for as long again."""

    job: str


class Checkpointed(msgspec.Struct, tag_field="ev", tag="checkpointed", frozen=True):
    """The file by which a job tells that it has checkpointed was written anew."""

    job: str


class InquiryAnswer(msgspec.Struct, tag_field="ev", tag="settled", frozen=True, rename={"reason": "why"}):
    """What became of a job that another agent was given (docs/design/jobs.md)."""

    job: str
    state: Literal["running", "ended", "void", "gone", "absent", "claimed"]
    reason: str = ""


class Status(msgspec.Struct, tag_field="ev", tag="status", frozen=True):
    """How a job stands at this moment; what it takes is None where that is not known."""

    job: str
    state: Literal["running", "ended", "void", "absent", "claimed"]
    pid: int | None = None
    seconds: float | None = None
    processes: int | None = None
    user_s: float | None = None
    system_s: float | None = None
    mem_bytes: int | None = None


class AgentError(msgspec.Struct, tag_field="ev", tag="error", frozen=True, rename={"reason": "why"}):
    """The agent could not make sense of a request, or failed at one."""

    reason: str
    job: str | None = None
    """None: it concerns no single job."""


class Drained(msgspec.Struct, tag_field="ev", tag="drained", frozen=True):
    """Our drain mark is on the node."""

    path: str


class Resumed(msgspec.Struct, tag_field="ev", tag="resumed", frozen=True):
    """No drain mark of ours is on the node; whether there was one."""

    was: bool


class ReapedItem(msgspec.Struct, frozen=True, rename={"reason": "why"}):
    """Something of ours that nobody needs any more; `reason` it is still there."""

    kind: Literal["processes", "lease", "half", "job", "boot", "claim", "trouble"]
    name: str
    bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
    pids: tuple[int, ...] = ()
    reason: str = ""


class Findings(msgspec.Struct, tag_field="ev", tag="reaped", frozen=True):
    """What we have left on the node, or a part of it; the next part is asked for behind `last`."""

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
    | Ended
    | Current
    | LeaseKept
    | Checkpointed
    | InquiryAnswer
    | Status
    | Drained
    | Resumed
    | Findings
    | AgentError
)

NotOfEnds: TypeAlias = Claimed | Admitted | Stored | LeaseKept | Checkpointed | Status | Drained | Resumed | Findings
"""What is said to who reserves, brings files, moves or looks; who follows a job has not asked for it."""

_decoder: msgspec.json.Decoder[AgentEvent] = msgspec.json.Decoder(AgentEvent)


_UNPACK = """\
import binascii,zlib
for part in zlib.decompress(binascii.a2b_base64("%s")).decode().split("\\0"):
    exec(compile(part.partition("\\n")[2],"agent/"+part.partition("\\n")[0],"exec"))
"""


def bootstrap(nonce: str, source: str) -> bytes:
    """Shell text that replaces an open `sh -s` by the agent, its source on descriptor 3 as a here-document."""
    return f"exec python3 -I -S /dev/fd/3 {nonce} 3<<'CLB_{nonce}'\n{_packed(source)}CLB_{nonce}\n".encode()


@cache
def _packed(source: str) -> str:
    """A text that unpacks the source and runs it file by file, the one that says hello early.

    Python compiles the files in two thirds of the time that it takes for the whole. Base64, for nodes decode
    it in C: base85 would be 6 % shorter and take a millisecond more.
    """
    sections = source[len("# -- ") :].replace("\n# -- ", "\n\0")
    return _UNPACK % binascii.b2a_base64(zlib.compress(sections.encode()), newline=False).decode()


def decode(line: bytes, nonce: str) -> AgentEvent | None:
    """The event in `line`; None for anything that is not one of ours."""
    frame = b"\x1eCLB1 " + nonce.encode() + b" "
    if not line.startswith(frame):
        return None
    try:
        return _decoder.decode(line[len(frame) :])
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


def encode(op: str, **fields: object) -> bytes:
    """One request as a line. Bytes travel as base64; file names that are not UTF-8, as lone surrogates."""
    return json.dumps({"op": op, **fields}, default=_base64).encode() + b"\n"


def _base64(data: object) -> str:
    if isinstance(data, bytes):
        return binascii.b2a_base64(data, newline=False).decode()
    raise TypeError(f"{type(data).__name__} does not travel")
