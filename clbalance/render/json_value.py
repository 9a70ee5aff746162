"""What JSON can carry."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


def finite(value: float | None) -> float | None:
    """`value`, or None where JSON has no way to write it."""
    return value if value is not None and math.isfinite(value) else None
