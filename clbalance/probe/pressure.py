"""`/proc/pressure/*`: `some avg10=0.04 avg60=0.04 avg300=0.00 total=2571783`, per cent of the time."""

import re
from collections.abc import Mapping

from clbalance.model import Pressure, Unknown
from clbalance.probe.bounded import decimal

_SOME = re.compile(r"some avg10=([0-9.]{1,20}) .*", re.MULTILINE)


def parse_pressure(files: Mapping[str, str]) -> Pressure | Unknown:
    """All three pressures, or unknown: kernels before 4.20, and those started with `psi=0`, tell none."""
    texts = [files.get(f"pressure/{resource}", "") for resource in ("cpu", "memory", "io")]
    if not all(texts):
        return Unknown(why="no pressure stall information")
    match [_avg10_pct(text) for text in texts]:
        case [float(cpu), float(mem), float(io)]:
            return Pressure(cpu_pct=cpu, mem_pct=mem, io_pct=io)
        case _:
            return Unknown(why="/proc/pressure does not parse")


def _avg10_pct(text: str) -> float | None:
    some = _SOME.match(text)
    return decimal(some[1], most=100.0) if some else None
