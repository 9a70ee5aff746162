"""The answer of a node as a few hundred bytes for the store, and back: its sections as they came, with the rates.

The sections are parsed again when they are read. So what is kept is trusted no more than what a node sends, and needs
no format of its own.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cause, Measured, NodeName, Rates, Silent, Unknown
from clbalance.probe.frame import Section

_MOST_BYTES = 1 << 20  # unpacked
_RATES = ("ut_pct", "disk_bytes_per_s", "net_bytes_per_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSections:
    """What a node sent, and the rates that it had then."""

    sections: Mapping[str, Section]
    rates: Rates | Unknown


def pack(answer: Answer, sections: Mapping[str, Section]) -> bytes:
    """The bytes to keep. `sections`: what a node that was measured has sent."""
    kept: dict[str, Any]
    match answer:
        case Silent(cause=cause, reason=reason):
            kept = {"cause": cause.value, "reason": reason}
        case Measured(rates=rates):
            kept = {"sections": {name: [one.text, one.status] for name, one in sections.items()}}
            if isinstance(rates, Rates):
                kept["span_s"] = rates.span_s
                kept |= {name: value for name in _RATES if isinstance(value := getattr(rates, name), float)}
    return zlib.compress(json.dumps(kept).encode("utf-8", "replace"), 1)


def unpack(node: NodeName, content: bytes) -> KeptSections | Silent | None:
    """What was kept; None if it makes no sense: a damaged database may hold anything."""
    try:
        kept = json.loads(zlib.decompressobj().decompress(content, _MOST_BYTES))
    except (zlib.error, ValueError, RecursionError):
        return None
    match kept:
        case {"cause": str(cause), "reason": str(reason)} if cause in list(Cause):
            return Silent(node=node, cause=Cause(cause), reason=reason)
        case {"sections": dict(sections)} if all(map(_is_section, sections.values())):
            parsed = {name: Section(text=text, status=status) for name, (text, status) in sections.items()}
            return KeptSections(sections=parsed, rates=_rates(kept))
        case _:
            return None


def _is_section(kept: Any) -> bool:
    match kept:
        case [str(), str() | None]:
            return True
        case _:
            return False


def _rates(kept: Mapping[str, Any]) -> Rates | Unknown:
    unknown = Unknown(reason="no earlier measurement to compare with")
    span_s, *values = (kept.get(name) for name in ("span_s", *_RATES))
    if not isinstance(span_s, float):
        return unknown
    ut, disk, net = (value if isinstance(value, float) else unknown for value in values)
    return Rates(span_s=span_s, ut_pct=ut, disk_bytes_per_s=disk, net_bytes_per_s=net)
