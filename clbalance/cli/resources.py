"""What a copy takes of its node, from what was typed."""

from clbalance.cli.options import ResourceOptions
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.sizes import parse_size

_MOST = 100_000  # of anything in one node


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Checked, in units."""

    cpus: float
    mem_bytes: int
    tmp_bytes: int
    gpus: int
    gpu_share: float
    gpu_mem_bytes: int
    slots: int
    exclusive: bool
    limit_cpus: float | None
    limit_mem_bytes: int | None


def resources_of(options: ResourceOptions) -> Resources:
    """The resources meant; `UsageError` for what cannot be."""
    if not 0 <= options.gpus <= _MOST:
        raise UsageError(f"`--gpus` cannot be {options.gpus}", hint="0, or a number of GPUs")
    if not 0 <= options.slots <= _MOST:
        raise UsageError(f"`--slots` cannot be {options.slots}", hint="0, or a number of slots")
    return Resources(
        cpus=_cpus(options.cpus, options.limit_cpus),
        mem_bytes=_mem_bytes(options.mem, options.limit_mem),
        tmp_bytes=0 if options.tmp is None else _size("--tmp", options.tmp),
        gpus=options.gpus if options.gpu_share is None else 1,
        gpu_share=1.0 if options.gpu_share is None else _gpu_share(options.gpu_share, options.gpus),
        gpu_mem_bytes=0 if options.gpu_mem is None else _gpu_mem_bytes(options),
        slots=options.slots,
        exclusive=options.exclusive,
        limit_cpus=options.limit_cpus,
        limit_mem_bytes=None if options.limit_mem is None else _size("--limit-mem", options.limit_mem),
    )


def _gpu_share(share: float, gpus: int) -> float:
    if not 0 < share < 1:
        raise UsageError(f"`--gpu-share` cannot be {share:g}", hint="above 0 and below 1; a whole one is `--gpus 1`")
    if gpus:
        raise UsageError("`--gpu-share` and `--gpus` exclude each other", hint="a part of one GPU, or whole ones")
    return share


def _gpu_mem_bytes(options: ResourceOptions) -> int:
    if not options.gpus and options.gpu_share is None:
        raise UsageError("`--gpu-mem` is memory of GPUs, and none is asked for", hint="add `--gpus 1`")
    return _size("--gpu-mem", options.gpu_mem or "")


def _cpus(asked: float | None, limit: float | None) -> float:
    """What is limited and not asked for is asked for, as in Kubernetes."""
    if limit is not None and not 0 < limit <= _MOST:
        raise UsageError(f"`--limit-cpus` cannot be {limit:g}", hint="a number of cpus above 0, such as 2 or 0.5")
    if asked is None:
        return 1.0 if limit is None else limit
    if not 0 <= asked <= _MOST:
        raise UsageError(f"`--cpus` cannot be {asked:g}", hint="0, or a number of cpus such as 2 or 0.5")
    if limit is not None and asked > limit:
        raise UsageError(f"`--cpus {asked:g}` is more than `--limit-cpus {limit:g}`", hint="the limit is at least that")
    return asked


def _mem_bytes(asked: str | None, limit: str | None) -> int:
    limit_bytes = None if limit is None else _size("--limit-mem", limit)
    if limit_bytes == 0:
        raise UsageError(f"`--limit-mem` cannot be {limit!r}", hint="a size above 0, such as 20G")
    if asked is None:
        return limit_bytes or 0
    size = _size("--mem", asked)
    if limit_bytes is not None and size > limit_bytes:
        raise UsageError(f"`--mem {asked}` is more than `--limit-mem {limit}`", hint="the limit is at least that")
    return size


def _size(option: str, text: str) -> int:
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"`{option}` cannot be {text!r}", hint=error.hint) from error
