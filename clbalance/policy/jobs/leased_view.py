"""What is known of a running job that is not in the journal: by its leases, its nodes, and its folder there. Pure."""

import json

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.jobs.leased import LeasedJob


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStatus:
    """How one copy stands. None: not known, or its node did not answer."""

    node: NodeName
    state: str | None = None
    """In the words of the agent: `running`, `ended`, `claimed` and so on."""
    pid: int | None = None
    processes: int | None = None
    seconds: float | None = None
    cpu_s: float | None = None
    mem_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSpec:
    """What a job was started with, by the word of its owner, who may write anything into its folder."""

    command: tuple[str, ...] = ()
    """The command, or the script's name and its arguments."""
    chdir: str = ""
    time_limit_s: float | None = None
    number: int | None = None
    """Its number on `submit_host`."""
    submit_host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedView:
    """One job."""

    job: LeasedJob
    owner: str
    """As it is typed."""
    spec: KeptSpec
    copies: tuple[CopyStatus, ...]


def kept_spec(text: bytes) -> KeptSpec | None:
    """The spec in the text of its file; None if it is not one."""
    try:
        spec = json.loads(text)
        env, script = spec["env"], spec.get("script") or {}
        command = spec.get("argv") or [script["name"], *script.get("args", [])]
        limit_s, number = spec.get("time_limit_s"), env.get("CLBALANCE_JOB_ID", "")
        return KeptSpec(
            command=tuple(map(str, command)),
            chdir=str(spec.get("chdir") or ""),
            time_limit_s=float(limit_s) if isinstance(limit_s, int | float) else None,
            number=int(number) if isinstance(number, str) and number.isdecimal() and len(number) <= 18 else None,
            submit_host=str(env.get("CLBALANCE_SUBMIT_HOST", "")),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
