"""The word that was probably meant, for hints."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words; empty: none is near."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint with the nearest word, or another hint if none is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else otherwise
