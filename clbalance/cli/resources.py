"""What a copy takes of its node, from what was typed."""

from dataclasses import dataclass

from clbalance.cli.options import ResourceOptions
from clbalance.lab.sizes import parse_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Checked, in units."""

    cpus: float
    mem_bytes: int
    gpus: int
    exclusive: bool


def resources_of(options: ResourceOptions) -> Resources:
    """The resources meant; `UsageError` for a size that is none."""
    return Resources(
        cpus=options.cpus,
        mem_bytes=0 if options.mem is None else parse_size(options.mem),
        gpus=options.gpus,
        exclusive=options.exclusive,
    )
