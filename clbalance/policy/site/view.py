"""Nodes, requests and jobs as plug-ins see them: plain dictionaries whose keys never change. Pure."""

from typing import Any

from clbalance.model import Gpu, Measured, Request, Unknown
from clbalance.model.job_record import JobRecord
from clbalance.policy.indices.row import AnsweredNode
from clbalance.policy.indices.table import INDICES


def node_view(answer: Measured) -> dict[str, Any]:
    """A node. Its indices have the names of `--where`, in bytes, per cent or plain; unknown ones are None."""
    node, gpus = AnsweredNode.of(answer), answer.reading.gpus
    own = {index.name: _known(index.read(node)) for index in INDICES}
    external = {one.index.name: _known(one.value) for one in answer.site.values}
    return {
        "name": str(answer.node),
        "labels": dict(answer.labels),
        "taints": sorted(answer.taints),
        "indices": {**own, **external},
        "gpus": None if isinstance(gpus, Unknown) else list(map(_gpu_view, gpus)),
        "checks": {check.name: check.state.word for check in answer.site.checks},
    }


def _gpu_view(gpu: Gpu) -> dict[str, Any]:
    return {
        "uuid": gpu.uuid,
        "index": gpu.index,
        "model": gpu.model,
        "mem_total_bytes": _known(gpu.mem_total_bytes),
        "mem_used_bytes": _known(gpu.mem_used_bytes),
        "use_pct": _known(gpu.use_pct),
        "temperature_c": _known(gpu.temperature_c),
    }


def _known(value: float | Unknown) -> float | None:
    return None if isinstance(value, Unknown) else value


def request_view(request: Request) -> dict[str, Any]:
    """What each copy of a job asks for."""
    return {
        "name": request.name,
        "cpus": request.cpus,
        "mem_bytes": request.mem_bytes,
        "tmp_bytes": request.tmp_bytes,
        "gpus": request.gpus,
        "gpu_share": request.gpu_share,
        "gpu_mem_bytes": request.gpu_mem_bytes,
        "slots": request.slots,
        "exclusive": request.exclusive,
    }


def job_view(record: JobRecord) -> dict[str, Any]:
    """A job that has ended."""
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state.value,
        "reason": record.reason,
        "rc": record.rc,
        "nodes": [str(node) for node in record.nodes],
    }
