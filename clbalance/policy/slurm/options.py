"""A request in the words of sbatch(1), and where in Slurm it may run. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from clbalance.model import NodeName
from clbalance.model.engine import EngineNode, EngineOrder, Pool, Refused
from clbalance.model.request import Request
from clbalance.nodeset import fold
from clbalance.policy.slurm.scripts import MESSAGES

_MIB = 2**20
_MINUTE_S = 60


def pool_of(order: EngineOrder, nodes: Sequence[EngineNode]) -> Pool | Refused:
    """Where the job may run. `nodes`: all of Slurm's; the first of a node's partitions is the default, if it is in it.

    A group of the name of a partition is that partition. The nodes are all wanted if the job needs so many; else
    the others of the partition are excluded, and Slurm chooses. `--pick all` means those that get jobs.
    """
    partitions = _partitions(nodes)
    excluded = order.request.excluded
    if order.request.pick is None:
        excluded |= {one.node for one in nodes if one.reason}
    partition = order.group if order.group in partitions else None
    candidates = order.candidates if partition is None else partitions[partition]
    wanted = tuple(node for node in candidates if node not in excluded)
    if not wanted:
        return Refused("no node is left")
    if strange := set(wanted).difference(one.node for one in nodes):
        return Refused(f"{fold(strange)} {'is no node' if len(strange) == 1 else 'are no nodes'} of Slurm")
    if partition is None:
        partition = next((pool for pool, members in partitions.items() if set(wanted) <= set(members)), None)
    if partition is None:
        return Refused(f"no partition has all of {fold(wanted)}")
    return _pool(partition, partitions[partition], wanted, order.request.pick)


def _pool(
    partition: str, members: Sequence[NodeName], wanted: tuple[NodeName, ...], pick: int | None
) -> Pool | Refused:
    """Those nodes of a partition, if the job needs all of them; else the partition without the others."""
    count = len(wanted) if pick is None else pick
    if count > len(wanted):
        return Refused(f"it needs {count} nodes, and there {'is' if len(wanted) == 1 else 'are'} {len(wanted)}")
    if count == len(wanted):
        return Pool(partition=partition, nodes=wanted)
    chosen = set(wanted)
    return Pool(partition=partition, excluded=tuple(node for node in members if node not in chosen))


def _partitions(nodes: Sequence[EngineNode]) -> Mapping[str, tuple[NodeName, ...]]:
    found: dict[str, list[NodeName]] = {}
    for one in nodes:
        for pool in one.pools:
            found.setdefault(pool, []).append(one.node)
    return {pool: tuple(members) for pool, members in found.items()}


def node_count(order: EngineOrder, pool: Pool) -> int:
    """How many copies the job has."""
    return order.request.pick or max(1, len(pool.nodes))


def sbatch_options(order: EngineOrder, pool: Pool, folder: str) -> tuple[str, ...]:
    """The options of sbatch. `folder`: the job's own.

    Slurm counts minutes and whole cpus, so both are rounded up. It never starts the job again by itself: that would be
    a second start of the same attempt.
    """
    request, count = order.request, node_count(order, pool)
    options = [
        "--parsable",
        f"--job-name={order.name}",
        f"--comment={order.job.name}",
        "--export=ALL",
        "--no-requeue",
        f"--chdir={folder}",
        f"--output={folder.replace('%', '%%')}/{MESSAGES}",
        f"--nodes={count}",
        f"--ntasks={count}",
        "--ntasks-per-node=1",
    ]
    if pool.partition:
        options.append(f"--partition={pool.partition}")
    if order.account:
        options.append(f"--account={order.account}")
    if pool.nodes:
        options.append(f"--nodelist={','.join(pool.nodes)}")
    if pool.excluded:
        options.append(f"--exclude={','.join(pool.excluded)}")
    if order.after:
        options += [f"--dependency=afterok:{':'.join(order.after)}", "--kill-on-invalid-dep=yes"]
    if order.begin_at_s is not None:
        options.append(f"--begin={datetime.fromtimestamp(order.begin_at_s, UTC).astimezone():%Y-%m-%dT%H:%M:%S}")
    return (*options, *_resources(request), *_limit(order.job.time_limit_s))


def _resources(request: Request) -> list[str]:
    options = [f"--cpus-per-task={max(1, math.ceil(request.cpus))}"]
    if request.mem_bytes:
        options.append(f"--mem={math.ceil(request.mem_bytes / _MIB)}M")
    if request.gpus:
        options.append(f"--gres=gpu:{request.gpus}")
    if request.tmp_bytes:
        options.append(f"--tmp={math.ceil(request.tmp_bytes / _MIB)}M")
    if request.exclusive:
        options.append("--exclusive")
    return options


def _limit(time_limit_s: float | None) -> list[str]:
    return [] if time_limit_s is None else [f"--time={max(1, math.ceil(time_limit_s / _MINUTE_S))}"]


def why_not(request: Request) -> str:
    """Which part of the request Slurm cannot be asked for, by its option; empty: none."""
    asked = {
        "--gpu-share": request.gpu_share != 1.0,
        "--gpu-mem": bool(request.gpu_mem_bytes),
        "--slots": request.slots > 1,
        "--limit-cpus": request.limit_cpus is not None,
        "--limit-mem": request.limit_mem_bytes is not None and request.limit_mem_bytes != request.mem_bytes,
        "--where": bool(request.constraints.where),
        "--tolerate": bool(request.constraints.tolerated),
        "--ask-all": request.constraints.ask_all,
        "--order": bool(request.constraints.order),
        "--near": bool(request.constraints.near),
        "--apart": bool(request.constraints.apart),
        "--same": bool(request.constraints.same),
        "--prefer": bool(request.constraints.preferences),
        "--force": request.constraints.force,
    }
    return next((option for option, is_asked in asked.items() if is_asked), "")
