"""The names that a user asks a node for: `results`, `/var/log/*.log`. Pure.

A node is asked what matches a pattern, and its answer is checked here: it never names what was not asked for.
"""

from fnmatch import fnmatchcase

_MAGIC = frozenset("*?[")


def split_pattern(source: str) -> tuple[str, str]:
    """The folder before the first part with `*`, `?` or `[`, and the rest; the rest is empty if there is none."""
    parts = source.rstrip("/").split("/")
    at = next((at for at, part in enumerate(parts) if _MAGIC & set(part)), len(parts))
    folder = "/".join(parts[:at])
    return ("/" if not folder and source.startswith("/") else folder), "/".join(parts[at:])


def split_name(source: str) -> tuple[str, str]:
    """The folder that `source` is in, and its last part; the folder is empty for the home folder."""
    folder, slash, name = source.rstrip("/").rpartition("/")
    return folder or slash, name


def is_match(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern, part by part; `*` matches no name that begins with a dot."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(
        fnmatchcase(part, one) and (not part.startswith(".") or one.startswith("."))
        for part, one in zip(parts, patterns, strict=True)
    )


def has_own_name(source: str) -> bool:
    """Whether a result can be named after `source`: not after `/`, `~`, `.` and `..`."""
    return split_name(source)[1] not in {"", "~", ".", ".."}
