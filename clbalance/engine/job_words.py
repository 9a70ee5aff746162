"""A job in the agent's words: what its nodes are asked for, what a copy sees, how its end is told. Pure."""

from typing import assert_never

from clbalance.engine.agent_wire import AgentEnd, CancelledEnd, ExitedEnd, KilledEnd, OutOfMemoryEnd, TimeoutEnd
from clbalance.job import Cancelled, Command, End, Exited, JobSpec, Killed, OutOfMemory, Script, TimedOut
from clbalance.model import Measured, NodeName, Request, Unknown
from clbalance.policy.gpus import gpu_candidates
from clbalance.policy.meant import meant
from clbalance.policy.near_cpus import cpus_near


def label_of(job: JobSpec) -> str:
    """What the nodes know a claim by."""
    return f"{job.key}.{job.claim}"


def end_of(told: AgentEnd, limit_s: float | None) -> End:
    """The agent's account of an end, in our words."""
    match told:
        case ExitedEnd(rc=rc):
            return Exited(rc=rc)
        case KilledEnd(signal=signal):
            return Killed(signal=signal)
        case TimeoutEnd():
            return TimedOut(limit_s=limit_s or 0.0)
        case OutOfMemoryEnd(limit_bytes=limit_bytes, used_bytes=used_bytes):
            return OutOfMemory(limit_bytes=limit_bytes, used_bytes=used_bytes)
        case CancelledEnd(why=why):
            return Cancelled(why=why)
        case _:
            assert_never(told)


def environment(job: JobSpec, node: NodeName, rank: int, *, node_list: str, node_count: int) -> dict[str, str]:
    """What a copy finds in its environment (docs/design/command-line.md), its own `--env` included; never `SLURM_*`."""
    return {
        **job.env,
        "CLBALANCE_JOB_ID": str(job.id),
        "CLBALANCE_JOB_NAME": job.name,
        "CLBALANCE_NODELIST": node_list,
        "CLBALANCE_NNODES": str(node_count),
        "CLBALANCE_NODEID": str(rank),
        "CLBALANCE_NODE": node,
        "CLBALANCE_SUBMIT_HOST": job.submit_host,
        "CLBALANCE_SUBMIT_DIR": job.submit_dir,
        "CLBALANCE_RESTART_COUNT": str(job.attempt - 1),
        "CLBALANCE_PREV_NODES": job.previous_nodes,
    }


def lease_request(request: Request, answer: Measured, name: str) -> dict[str, object]:
    """What the node is asked to promise (docs/design/leases.md); it may have fewer GPUs left than we have seen."""
    found = gpu_candidates(meant(answer, request), request) if request.gpus else ()
    candidates = () if isinstance(found, Unknown) else found
    # Who is bound to cpus is best bound to those near his devices.
    near = {"gpu_cpus": cpus_near(answer, candidates)} if candidates and request.limit_cpus else {}
    return near | {
        "cpus": request.cpus,
        "mem_bytes": request.mem_bytes,
        "gpu_count": request.gpus,
        "gpu_candidates": list(candidates),
        "gpu_share": request.gpu_share,
        "slots": request.slots,
        "exclusive": request.exclusive,
        "name": name,
        "tmp_bytes": request.tmp_bytes,
        "limit_cpus": request.limit_cpus,
        "limit_mem_bytes": request.limit_mem_bytes,
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
        "tied": job.pty is not None,
        "pty": None if job.pty is None else {"rows": job.pty[0], "columns": job.pty[1]},
    }
