"""One copy of a job on one node, as the dispatcher sees it, and how its end is told. Values and no effects."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import assert_never

from clbalance.engine.agent_wire import CancelledEnd, Ended, ExitedEnd, KilledEnd, TimeoutEnd
from clbalance.model import (
    Cancelled,
    Command,
    End,
    Exited,
    JobSpec,
    Killed,
    Measured,
    NodeName,
    Outcome,
    Request,
    Script,
    TimedOut,
    Unknown,
)
from clbalance.policy.gpus import gpu_candidates


class Phase(IntEnum):
    """How far a copy has come; a session that closes before STARTING has started nothing."""

    ARRIVING = 0
    """The agent was sent and has not said hello."""
    CLAIMING = 1
    """The job's folder and a lease were asked for."""
    ADMITTED = 2
    """The node has promised what the job needs; it waits for the other copies."""
    STORING = 3
    """Script and standard input are on their way."""
    READY = 4
    """All is there; it waits for the other copies."""
    STARTING = 5
    RUNNING = 6
    ENDED = 7


@dataclass(slots=True)
class Copy:
    """The dispatcher's note of one copy; `nonce` frames its agent's words."""

    node: NodeName
    rank: int
    nonce: str
    phase: Phase = Phase.ARRIVING
    end: End | None = None
    seconds: float = 0.0
    started_at: float | None = None
    warnings: list[str] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    """Files still to be sent, the current one first."""
    offset: int = 0
    in_flight: int = 0

    def outcome(self, end: End) -> Outcome:
        """Its outcome, were it to end so."""
        return Outcome(node=self.node, rank=self.rank, end=end, seconds=self.seconds, warnings=tuple(self.warnings))


def end_of(told: Ended, job: JobSpec) -> End:
    """The agent's account of an end, in our words."""
    match told.end:
        case ExitedEnd(rc=rc):
            return Exited(rc=rc)
        case KilledEnd(signal=signal):
            return Killed(signal=signal)
        case TimeoutEnd():
            return TimedOut(limit_s=job.time_limit_s or 0.0)
        case CancelledEnd(why=why):
            return Cancelled(why=why)
        case _:
            assert_never(told.end)


def environment(job: JobSpec, copy: Copy, node_list: str, node_count: int) -> dict[str, str]:
    """What a copy finds in its environment (DESIGN §7), its own `--env` included; never `SLURM_*`."""
    return {
        **job.env,
        "CLBALANCE_JOB_ID": str(job.id),
        "CLBALANCE_JOB_NAME": job.name,
        "CLBALANCE_NODELIST": node_list,
        "CLBALANCE_NNODES": str(node_count),
        "CLBALANCE_NODEID": str(copy.rank),
        "CLBALANCE_NODE": copy.node,
        "CLBALANCE_SUBMIT_HOST": job.submit_host,
        "CLBALANCE_SUBMIT_DIR": job.submit_dir,
        "CLBALANCE_RESTART_COUNT": str(job.attempt - 1),
        "CLBALANCE_PREV_NODES": "",
    }


def lease_request(request: Request, answer: Measured, name: str) -> dict[str, object]:
    """What the node is asked to promise (docs/design/leases.md); it may have fewer GPUs left than we have seen."""
    candidates = gpu_candidates(answer) if request.gpus else ()
    return {
        "cpus": request.cpus,
        "mem_bytes": request.mem_bytes,
        "gpu_count": request.gpus,
        "gpu_candidates": [] if isinstance(candidates, Unknown) else list(candidates),
        "slots": request.slots,
        "exclusive": request.exclusive,
        "name": name,
    }


def start_spec(job: JobSpec, env: dict[str, str]) -> dict[str, object]:
    """The agent's `spec` for one copy."""
    match job.work:
        case Command(argv=argv):
            what: dict[str, object] = {"argv": list(argv)}
        case Script(name=name, args=args):
            what = {"script": {"name": name, "args": list(args)}}
        case _:
            assert_never(job.work)
    return what | {
        "name": job.name,
        "env": env,
        "chdir": job.chdir,
        "chdir_explicit": job.chdir_explicit,
        "umask": job.umask,
        "login": job.login,
        "time_limit_s": job.time_limit_s,
        "grace_s": job.grace_s,
        "tied": True,
    }
