"""`command -v python3`, and what that python3 says of its version."""

import re

from clbalance.checkup import Python
from clbalance.model import Unknown
from clbalance.probe.bounded import words_of
from clbalance.probe.frame import Section
from clbalance.probe.python import parse_python

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")
_NONE = "3"


def parse_python_version(section: Section | None) -> Python | Unknown | None:
    """Path and version; None where there is no python3."""
    if section is None or section.status is None:
        return Unknown(why="not told" if section is None else "timed out")
    if section.status == _NONE:
        return None
    first, _, rest = section.text.partition("\n")
    path = parse_python(first)
    if isinstance(path, Unknown):
        return path
    version = _VERSION.fullmatch(rest.strip("\n"))
    if version is None or section.status != "0":
        return Python(path=path, version=Unknown(why=words_of(rest) or f"it failed with {section.status}"))
    return Python(path=path, version=(int(version[1]), int(version[2]), int(version[3])))
