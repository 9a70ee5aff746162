"""Playbooks with random damage give an error with its line, or a valid playbook, and never anything else."""

import os
import random
import re
from collections import Counter

from clbalance.errors import UsageError
from clbalance.model.playbook import Playbook
from clbalance.playbook.load import load_playbook

from .build import WHOLE

COUNT = int(os.environ.get("CLBALANCE_EXAMPLES", "0")) or 600
PLACE = re.compile(r"p\.yml(:\d+:\d+)?: ")
_PIECES = ["", " ", "\n", "\t", ":", "- ", "{", "}", "[", "]", "*a", "&a ", "!!str ", "'", '"', "#", "---\n", "null", "9" * 40,
           "{{ vars.x }}", "\0", "\ufffe", "é", "%", "<<: ", "steps", "run", "-1", "1e999", "true", "? ", "|", "> "]  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    """The whole playbook with one to six changes: characters, lines, words, or cut off."""
    text = WHOLE
    for _ in range(rng.randint(1, 6)):
        lines = text.splitlines(keepends=True) or [""]
        at, line = rng.randrange(len(text) + 1), rng.randrange(len(lines))
        match rng.randrange(7):
            case 0:
                text = text[:at] + rng.choice(_PIECES) + text[at + rng.randrange(4) :]
            case 1:
                del lines[line]
                text = "".join(lines)
            case 2:
                text = "".join([*lines[:line], lines[rng.randrange(len(lines))], *lines[line:]])
            case 3:
                lines[line] = rng.choice(["  ", "    ", "\t", ""]) + lines[line].lstrip()
                text = "".join(lines)
            case 4:
                words = re.findall(r"[\w.%]+", text)
                text = text.replace(rng.choice(words or [""]) or "x", rng.choice([*words, *_PIECES]), 1)
            case 5:
                rng.shuffle(lines)
                text = "".join(lines)
            case _:
                text = text[:at]
    data = text.encode("utf-8", "surrogatepass")
    return data if rng.random() < 0.9 else data[: len(data) // 2] + bytes([rng.randrange(256)]) + data[len(data) // 2 :]


def test_a_damaged_playbook_is_an_error_with_its_place_or_is_valid() -> None:
    rng = random.Random(20261130)
    valid = 0
    placed = Counter[bool]()
    for _ in range(COUNT):
        data = mutated(rng)
        try:
            found = load_playbook(data, "p.yml")
        except UsageError as error:
            placed[bool(PLACE.match(error.message))] += 1
        else:
            assert isinstance(found, Playbook)
            valid += 1
    assert 0 < valid < COUNT
    assert placed[False] == 0
