"""The forms of what verbs print. Alone here: `--help` of every verb names them, and must not load what draws them."""

from enum import StrEnum


class Format(StrEnum):
    """What `--format` was given."""

    HUMAN = "human"
    JSON = "json"
    PLAIN = "plain"
