"""The one JSON object that a lease or a drain mark is: its owner's claim, believed only within limits."""

import json
from collections.abc import Mapping
from typing import TypeAlias

from clbalance.probe.bounded import words_of

Claim: TypeAlias = Mapping[str, object]

_VERSION = 1


class NotAClaimError(ValueError):
    """What is wrong with the text of a mark; met by its parser, never let out of it."""


def parse_claim(text: str) -> Claim:
    """The object, of our version; unknown keys are kept, and ignored."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAClaimError("no JSON" if text else "empty, too long or not readable") from error
    if not isinstance(found, dict):
        raise NotAClaimError("no JSON object")
    if found.get("v") != _VERSION:
        raise NotAClaimError(f"not of version {_VERSION}")
    return found


def number(claim: Claim, key: str, *, most: float) -> float:
    """The number 0…`most` under `key`. JSON's `true` is none, nor is the NaN that Python reads."""
    value = claim.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise NotAClaimError(f"`{key}` is no number from 0 to {most:g}")
    return float(value)


def whole_number(claim: Claim, key: str, *, most: int) -> int:
    """The integer 0…`most` under `key`."""
    value = claim.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise NotAClaimError(f"`{key}` is no integer from 0 to {most}")
    return value


def words(claim: Claim, key: str, *, most: int = 120) -> str:
    """One printable line under `key`."""
    value = claim.get(key)
    if not isinstance(value, str):
        raise NotAClaimError(f"`{key}` is no text")
    return words_of(value, most=most)
