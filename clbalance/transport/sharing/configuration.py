"""Does the user's own ssh configuration share connections? Its files are read: `ssh -G` takes 5 ms for each node."""

import glob
import re
import shlex
from itertools import pairwise
from pathlib import Path

from clbalance.transport.ssh_command import ssh_call

_SHARING = re.compile(r"control(master|path|persist)", re.IGNORECASE)
_INCLUDE = re.compile(r"^\s*include(?:\s*=\s*|\s+)(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_MOST_FILES = 200
_SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")


def configuration_without_sharing(path: str, options: str, system: Path = _SYSTEM_CONFIG) -> str | None:
    """The text of all files that ssh reads with these options.

    None if they or the options say anything of shared connections, if one cannot be read, or if the program is none
    that we know: then the user's own choice must not be overridden.
    """
    program, words = ssh_call(path, ()), ssh_call("", shlex.split(options))
    if len(program) != 1 or Path(program[0]).name != "ssh":
        return None
    if any(_SHARING.search(word) or re.match(r"-[46AaCfGgKkMNnqsTtVvXxYy]*[MS]", word) for word in words):
        return None
    named = [word[2:] or following for word, following in pairwise([*words, ""]) if word[:2] == "-F"]
    home = Path("~/.ssh").expanduser()
    if named:
        files = [(Path(one), home) for one in named if one != "none"]
    else:
        files = [(home / "config", home), (system, system.parent)]
    texts: list[str] = []
    try:
        for file, folder in files:
            if named or file.exists():
                _read_with_included(file, folder, texts)
    except (OSError, ValueError):
        return None
    return "\n".join(texts)


def _read_with_included(file: Path, folder: Path, texts: list[str]) -> None:
    """Add the text of a file, and of those that it includes. `ValueError` if it shares, or includes what is unknown."""
    if len(texts) >= _MOST_FILES:
        raise ValueError("too many files, or a circle")
    text = file.read_text("utf-8", "surrogateescape")
    settings = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    if _SHARING.search(settings):
        raise ValueError("it shares connections")
    texts.append(text)
    for patterns in _INCLUDE.findall(settings):
        for pattern in shlex.split(patterns):
            if "%" in pattern or "$" in pattern:
                raise ValueError("which files are included depends on the node")
            for included in sorted(glob.glob(str(folder / Path(pattern).expanduser()))):  # noqa: PTH207 - may be absolute
                _read_with_included(Path(included), folder, texts)
