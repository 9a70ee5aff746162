"""What was submitted of a job, in words and as JSON, for `show`."""

import shlex
from collections.abc import Iterator

from clbalance.model import Request
from clbalance.model.job import RestartPolicy, Submitted
from clbalance.nodeset import fold
from clbalance.render.jobs.row import Resources, resources_document
from clbalance.render.text import Json, iec, span
from clbalance.units import counted, format_size


def request_text(request: Request, *, is_of_tasks: bool) -> str:
    """Such as "2 copies, each 4 cpus, 20G of memory, 1 GPU"."""
    if is_of_tasks:
        many = "each task "
    elif request.pick == 1:
        many = ""
    else:
        many = f"{'a copy on every node that fits' if request.pick is None else f'{request.pick} copies'}, each "
    return many + ", ".join(_resources(request))


def _resources(request: Request) -> Iterator[str]:
    yield counted(request.cpus, "cpu")
    if request.mem_bytes:
        yield f"{iec(request.mem_bytes)} of memory"
    if request.gpus:
        share = f"{request.gpu_share:g} of a GPU" if request.gpu_share < 1 else ""
        yield share or counted(request.gpus, "GPU")
    if request.gpu_mem_bytes:
        yield f"{iec(request.gpu_mem_bytes)} free on each GPU"
    if request.gpu_models:
        yield f"GPU model {' or '.join(sorted(request.gpu_models))}"
    if request.tmp_bytes:
        yield f"{iec(request.tmp_bytes)} of temporary space"
    if request.slots != 1:
        yield counted(request.slots, "slot")
    if request.exclusive:
        yield "exclusive"


def constraints_text(request: Request) -> str:
    """The conditions for nodes, as the options that were typed; empty without any."""
    rules = request.constraints
    options = [("--where", rules.where), ("--order", rules.order), ("--same", rules.same)]
    options += [("--tolerate", taint) for taint in sorted(rules.tolerated)]
    options += [("--prefer", f"{one.label}={one.value}:{one.weight:g}") for one in rules.preferences]
    options += [("--near", name) for name in rules.near] + [("--apart", name) for name in rules.apart]
    if request.excluded:
        options.append(("-x", fold(request.excluded)))
    return " ".join(f"{option} {shlex.quote(value)}" for option, value in options if value)


def limits_text(submitted: Submitted) -> str:
    """The limits that were asked for; empty without any."""
    request, time_limit_s = submitted.request, submitted.job.time_limit_s
    parts = [] if request.limit_cpus is None else [counted(request.limit_cpus, "cpu")]
    parts += [] if request.limit_mem_bytes is None else [f"{format_size(request.limit_mem_bytes)} of memory"]
    of_each = "each task " if submitted.rules is not None else ""
    parts += [] if time_limit_s is None else [f"{of_each}{span(time_limit_s)} of run time"]
    return ", ".join(parts)


def restart_text(policy: RestartPolicy) -> str:
    """When it is started again, as the options that were typed; empty: never."""
    codes = ",".join(map(str, sorted(policy.requeue_exits)))
    parts = [f"--retry {policy.retry}"] if policy.retry else []
    parts += ["--requeue"] if policy.requeue else []
    parts += [f"--requeue-exit {codes}"] if codes else []
    if policy.checkpoint is not None:
        file = f" --checkpoint-file {shlex.quote(policy.checkpoint.file)}" if policy.checkpoint.file else ""
        parts.append(f"--checkpoint {policy.checkpoint.signal}:{policy.checkpoint.grace_s:g}s{file}")
    return " ".join(parts)


def request_document(request: Request) -> dict[str, Json]:
    """All of a request."""
    rules = request.constraints
    return {
        **resources_document(Resources.of(request)),
        "pick": request.pick,
        "gpu_mem_bytes": request.gpu_mem_bytes,
        "gpu_models": sorted(request.gpu_models),
        "tmp_bytes": request.tmp_bytes,
        "slots": request.slots,
        "exclusive": request.exclusive,
        "limit_cpus": request.limit_cpus,
        "limit_mem_bytes": request.limit_mem_bytes,
        "excluded": fold(request.excluded),
        "where": rules.where or None,
        "order": rules.order or None,
        "tolerate": sorted(rules.tolerated),
        "prefer": [{"label": one.label, "value": one.value, "weight": one.weight} for one in rules.preferences],
        "near": list(rules.near),
        "apart": list(rules.apart),
        "same": rules.same or None,
    }


def restart_document(policy: RestartPolicy) -> dict[str, Json]:
    """When it is started again, and how long it may wait."""
    checkpoint = policy.checkpoint
    return {
        "retry": policy.retry,
        "requeue": policy.requeue,
        "requeue_exit": sorted(policy.requeue_exits),
        "queue": policy.queue,
        "queue_for_s": policy.queue_for_s,
        "checkpoint": None
        if checkpoint is None
        else {"signal": checkpoint.signal, "grace_s": checkpoint.grace_s, "file": checkpoint.file},
    }


def submitted_document(submitted: Submitted) -> dict[str, Json]:
    """The rest of what was submitted. Of the environment only names: values may be secrets."""
    job = submitted.job
    return {
        "submit_host": job.submit_host,
        "submit_dir": job.submit_dir,
        "chdir": job.chdir,
        "login_user": job.user,
        "login_shell": job.login,
        "pty": job.pty is not None,
        "environment": sorted(job.env),
        "stdin": submitted.stdin_path,
        "time_limit_s": job.time_limit_s,
        "candidates": fold(submitted.candidates),
        "group": submitted.group,
        "policy": submitted.policy,
        "notify": submitted.notify,
        "restart": restart_document(submitted.restart_policy),
    }
