"""Does the user's own ssh configuration share connections? Its files are read: `ssh -G` takes 5 ms for each node."""

import glob
import os
import pwd
import re
import shlex
import stat
from itertools import pairwise
from pathlib import Path

from clbalance.transport.ssh_command import ssh_call

_SHARING = re.compile(r"control(master|path|persist)", re.IGNORECASE)
_INCLUDE = re.compile(r"^\s*include(?:\s*=\s*|\s+)(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_FLAGS = "-[46AaCfGgKkMNnqsTtVvXxYy]*"  # options of one letter may stand together
_MOST_FILES = 200
_MOST_BYTES = 1 << 20  # of each
_SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")


def configuration_without_sharing(
    path: str, options: str, system: Path = _SYSTEM_CONFIG, home: Path | None = None
) -> str | None:
    """The text of all files that ssh reads with these options. `home`: this user's, by default as ssh finds it.

    None if they or the options say anything of shared connections, if one cannot be read, or if the program is none
    that we know: then the user's own choice must not be overridden.
    """
    program, words = ssh_call(path, ""), ssh_call("", options)
    if len(program) != 1 or Path(program[0]).name != "ssh":
        return None
    if any(_SHARING.search(word) or re.match(f"{_FLAGS}[MS]", word) for word in words):
        return None
    named = [
        found[1] or following
        for word, following in pairwise([*words, ""])
        if (found := re.match(f"{_FLAGS}F(.*)", word, re.DOTALL))
    ]
    texts: list[str] = []
    try:
        folder = (home or Path(pwd.getpwuid(os.getuid()).pw_dir)) / ".ssh"  # ssh does not heed $HOME
        if named:
            files = [(Path(one), folder) for one in named if one != "none"]
        else:
            files = [(folder / "config", folder), (system, system.parent)]
        for file, folder in files:
            if named or file.exists():
                _read_with_included(file, folder, texts)
    except (OSError, ValueError, LookupError):
        return None
    return "\n".join(texts)


def _read_with_included(file: Path, folder: Path, texts: list[str]) -> None:
    """Add the text of a file, and of those that it includes. `ValueError` if it shares, or includes what is unknown."""
    if len(texts) >= _MOST_FILES:
        raise ValueError("too many files, or a circle")
    text = _read(file)
    settings = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    if _SHARING.search(settings):
        raise ValueError("it shares connections")
    texts.append(text)
    for patterns in _INCLUDE.findall(settings):
        for pattern in shlex.split(patterns):
            if "%" in pattern or "$" in pattern or re.match("~[^/]", pattern):
                raise ValueError("which files are included depends on the node, or on another user")
            place = folder.parent / pattern[2:] if pattern[:2] == "~/" else folder / pattern
            for included in sorted(glob.glob(str(place))):  # noqa: PTH207 - may be absolute
                _read_with_included(Path(included), folder, texts)


def _read(file: Path) -> str:
    """Its text. `ValueError` if it is too large, or is none that can be read twice: ssh would find nothing left."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode) and str(file) != os.devnull:
            raise ValueError("no regular file")
        content = opened.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("too large")
    return content.decode("utf-8", "surrogateescape")
