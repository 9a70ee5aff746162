"""Requests that can never fit, however long they wait: nodes are too small or do not exist. Pure.

Only facts that do not change by themselves count. A node that is full, drained, silent or past a threshold may take the
request later, and so may a node of unknown size.
"""

from collections import Counter
from collections.abc import Sequence

from clbalance.model import Answer, Cause, Cpus, Measured, Memory, Request, Silent, TmpSpace


def unsatisfiable(answers: Sequence[Answer], request: Request) -> str:
    """Why too few of the probed nodes can ever hold the copies, with counted reasons; empty if enough may."""
    reasons = [_why_unsatisfiable(answer, request) for answer in answers]
    able = reasons.count("")
    if not answers or able >= (request.pick or 1):
        return ""
    counted = sorted(Counter(filter(None, reasons)).items(), key=lambda item: (-item[1], item[0]))
    wanted = f", {request.pick} wanted" if request.pick is not None and request.pick > 1 else ""
    message = ", ".join(f"{count} {reason}" for reason, count in counted)
    return f"{able}/{len(answers)} nodes are large enough{wanted}: {message}"


def _why_unsatisfiable(answer: Answer, request: Request) -> str:
    if answer.node in request.excluded:
        return "excluded"
    match answer:
        case Silent(cause=Cause.DNS):
            return Cause.DNS.value
        case Measured():
            return _too_small(answer, request)
        case _:
            return ""


def _too_small(answer: Measured, request: Request) -> str:
    match answer.reading.cpus:
        case Cpus(online=online) if request.cpus > online:
            return "too few cpus"
    match answer.reading.memory:
        case Memory(total_bytes=total) if request.mem_bytes > total:
            return "too little memory"
    match answer.reading.tmp:
        case TmpSpace(total_bytes=total) if request.tmp_bytes > total:
            return "too little temporary space"
    match answer.reading.gpus:
        case tuple() as gpus if request.gpus > len(gpus):
            return "too few GPUs"
    return ""
