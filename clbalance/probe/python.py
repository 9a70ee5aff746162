"""`command -v python3`: which Python a job's agent would run on."""

from clbalance.model import Unknown

_MOST_PATH = 4_096


def parse_python(text: str) -> str | Unknown:
    """The absolute path of the node's python3; never used as anything but one argument."""
    path = text.strip("\n")
    if not path:
        return Unknown(why="no python3 on PATH")
    if not path.startswith("/") or not path.isprintable() or len(path) > _MOST_PATH:
        return Unknown(why="the path of python3 does not parse")
    return path
