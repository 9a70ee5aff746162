"""What speaks against a GPU, out of the lines of `nvidia-smi -q` that are about it; and what could not be looked at."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.probe.bounded import whole, words_of

_MOST: Final = 10**12
_CELSIUS: Final = re.compile(r"(-?[0-9]{1,3}) C")
_NOTHING: Final = ("None", "N/A", "Unknown Error", "", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the log, under its headings; a heading has no value."""

    path: tuple[str, ...]
    key: str
    value: str | None


def fault_of(lines: Sequence[Line]) -> str:
    """The gravest thing that is wrong, in few words; empty where nothing is."""
    return next((fault for look in _LOOKS for fault in look(lines)), "")


def unseen_of(lines: Sequence[Line]) -> tuple[str, ...]:
    """What this driver or this model does not tell."""
    missing = []
    if not _uncorrected(lines):
        missing.append("ECC errors: not told")
    if not _values(lines, "Retired Pages", "Pending") and not _values(lines, "Remapped Rows", "Remapping"):
        missing.append("page retirement and row remapping: not told")
    if _degrees(lines, "GPU Slowdown Temp") is None and _degrees(lines, "GPU Slowdown T.Limit Temp") is None:
        missing.append("temperature limits: not told")
    return tuple(missing)


def _recovery(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        if line.key == "GPU Recovery Action" and line.value not in _NOTHING:
            yield f"its driver asks for recovery: {words_of(line.value or '', most=40)}"


def _reset(lines: Sequence[Line]) -> Iterator[str]:
    for what, told in (
        ("Reset Required", "a reset is required"),
        ("Drain and Reset", "a drain and reset is recommended"),
    ):
        if "Yes" in _values(lines, "GPU Reset Status", what):
            yield told


def _ecc(lines: Sequence[Line]) -> Iterator[str]:
    count = sum(_uncorrected(lines))
    if count:
        yield f"{count} uncorrected ECC error{'s' if count > 1 else ''}"


def _uncorrected(lines: Sequence[Line]) -> list[int]:
    """Since the driver was loaded: by kind of memory, or of older devices the sum of the double bit errors."""
    values = (
        whole(line.value or "", most=_MOST)
        for line in lines
        if "Volatile" in line.path
        and ("Uncorrectable" in line.key or ("Double Bit" in line.path and line.key == "Total"))
    )
    return [value for value in values if value is not None]


def _memory(lines: Sequence[Line]) -> Iterator[str]:
    if "Yes" in _values(lines, "Retired Pages", "Pending"):
        yield "page retirement pending"
    if "Yes" in _values(lines, "Remapped Rows", "Remapping Failure"):
        yield "row remapping failed"


def _heat(lines: Sequence[Line]) -> Iterator[str]:
    now, margin = _degrees(lines, "GPU Current Temp"), _degrees(lines, "GPU T.Limit Temp")
    for what in ("Shutdown", "Slowdown"):
        limit, least = _degrees(lines, f"GPU {what} Temp"), _degrees(lines, f"GPU {what} T.Limit Temp")
        if now is not None and limit is not None and now >= limit:
            yield f"{now} C, {what.lower()} at {limit} C"
        # Newer drivers tell how far it is to where it slows itself, and at which such distance the rest happens.
        if margin is not None and least is not None and margin <= least:
            yield f"{'too hot' if now is None else f'{now} C'}, at its {what.lower()} limit"


def _degrees(lines: Sequence[Line], key: str) -> int | None:
    for line in lines:
        if line.key == key and (found := _CELSIUS.fullmatch(line.value or "")):
            return int(found[1])
    return None


def _values(lines: Sequence[Line], heading: str, key: str) -> list[str]:
    """What is told under a heading of whatever begins with `key`, where that is yes or no."""
    return [
        line.value
        for line in lines
        if heading in line.path and line.key.startswith(key) and line.value in ("Yes", "No")
    ]


_LOOKS: Final[tuple[Callable[[Sequence[Line]], Iterator[str]], ...]] = (_recovery, _reset, _ecc, _memory, _heat)
