"""What a copy takes of its node, from what was typed."""

from dataclasses import dataclass

from clbalance.cli.options import ResourceOptions
from clbalance.errors import UsageError
from clbalance.sizes import parse_size

_MOST = 100_000  # of anything in one node


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Checked, in units."""

    cpus: float
    mem_bytes: int
    gpus: int
    gpu_share: float
    gpu_mem_bytes: int
    slots: int
    exclusive: bool


def resources_of(options: ResourceOptions) -> Resources:
    """The resources meant; `UsageError` for what cannot be."""
    if not 0 <= options.cpus <= _MOST:
        raise UsageError(f"`--cpus` cannot be {options.cpus:g}", hint="0, or a number of cpus such as 2 or 0.5")
    if not 0 <= options.gpus <= _MOST:
        raise UsageError(f"`--gpus` cannot be {options.gpus}", hint="0, or a number of GPUs")
    if not 0 <= options.slots <= _MOST:
        raise UsageError(f"`--slots` cannot be {options.slots}", hint="0, or a number of slots")
    return Resources(
        cpus=options.cpus,
        mem_bytes=0 if options.mem is None else _size(options.mem, "--mem"),
        gpus=options.gpus if options.gpu_share is None else 1,
        gpu_share=1.0 if options.gpu_share is None else _gpu_share(options.gpu_share, options.gpus),
        gpu_mem_bytes=0 if options.gpu_mem is None else _gpu_mem_bytes(options),
        slots=options.slots,
        exclusive=options.exclusive,
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
    return _size(options.gpu_mem or "", "--gpu-mem")


def _size(text: str, option: str) -> int:
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"`{option}` cannot be {text!r}", hint=error.hint) from error
