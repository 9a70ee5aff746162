"""A job's quality of service, derived as in Kubernetes from what it asks for and what it is limited to. Pure.

Cpus and memory count, GPUs do not (kubernetes.io/docs/concepts/workloads/pods/pod-qos).
"""

from clbalance.model import Promise, Qos, Request


def qos_of(asked: Request | Promise) -> Qos:
    """The class of a request, or of the lease that it became."""
    if not (asked.cpus or asked.mem_bytes or asked.limit_cpus or asked.limit_mem_bytes):
        return Qos.BEST_EFFORT
    if asked.cpus and asked.mem_bytes and _has_no_room_above(asked):
        return Qos.GUARANTEED
    return Qos.BURSTABLE


def _has_no_room_above(asked: Request | Promise) -> bool:
    """Whether both limits are set, and leave no room above the request."""
    return asked.limit_cpus == asked.cpus and asked.limit_mem_bytes == asked.mem_bytes
