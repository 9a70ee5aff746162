"""The programs that run on nodes, as text. They are sent, never imported, and import nothing of this package."""

import re
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

_AGENT = [
    "protocol",
    "fields",
    "folder",
    "job/outcome",
    "tree",
    "lease/files",
    "lease/homes",
    "lease/listing",
    "lease/drains",
    "lease/capacity",
    "lease/cpus",
    "lease/admission",
    "job/program",
    "job/task",
    "job/fork",
    "job/input",
    "job/scope",
    "job/confine",
    "job/life",
    "job/supervisor",
    "job/spawn",
    "job/slot",
    "job/settle",
    "job/follow",
    "session",
    "leftovers",
    "reap",
    "requests",
    "serve",
]
"""The agent's files, each after its imports. `protocol` says hello, so it comes first."""

_FILES = ["frames", "folders", "receive", "examine", "serve"]
"""The files of the file program, each after its imports."""

_IMPORTS_OF_OURS = re.compile(
    r"^from clbalance\.node\.(?:agent|files)\.[\w.]+ import (?:\([^)]*\)|[^(\n]*)$", re.MULTILINE
)

_DOCSTRINGS = re.compile(r'\n( *)"""\S[^"]*(?:"[^"]+)*"""(?=\n)')
_COMMENTS = re.compile(r"\n *# [^\n]*")
"""Only comments on lines of their own. They would be a quarter of the text that is sent."""


def probe_script(*, owners: bool = False) -> str:
    """The POSIX shell text of a probe; `probe.frame.probe_request` makes it ready to send.

    `owners`: it also asks whose the processes on GPUs are.
    """
    return _text("probe.sh").replace("@OWNERS@", "yes" if owners else "")


def checkup_script() -> str:
    """The POSIX shell text of a check-up, sent like a probe. It contains the probe's guard for hanging commands."""
    return _guarded("checkup.sh")


def names_script(uids: Collection[int]) -> str:
    """The POSIX shell text that asks for the names of these users, sent like a probe."""
    return _guarded("names.sh").replace("@UIDS@", " ".join(map(str, sorted(uids))))


def _guarded(name: str) -> str:
    _, heading, rest = _text("probe.sh").partition("  # -- a deadline for what can hang")
    guard = rest.partition("  # -- what can hang\n")[0]
    assert heading
    assert guard
    return _text(name).replace("  # @GUARD@\n", heading + guard)


def relay_source() -> str:
    """The Python text that connects the terminal of a login with the terminal of a job."""
    return _text("relay.py")


@cache
def agent_source() -> str:
    """The Python text of the agent: its files one after the other, each after a line `# -- NAME.py`."""
    return _joined("agent", _AGENT)


@cache
def files_source() -> str:
    """The Python text of the file program (docs/design/copy.md), in the same form."""
    return _joined("files", _FILES)


def _joined(folder: str, names: Sequence[str]) -> str:
    return "".join(f"# -- {name}.py\n{_stripped(_text(f'{folder}/{name}.py'))}" for name in names)


def _stripped(text: str) -> str:
    """A file's text without docstrings, comments and imports of the agent's other files, which are in the same text.

    Line numbers do not change.
    """
    text = _IMPORTS_OF_OURS.sub(lambda found: "\n" * found[0].count("\n"), f"\n{text}")
    text = _DOCSTRINGS.sub(lambda found: f'\n{found[1]}""' + "\n" * (found[0].count("\n") - 1), text)
    return _COMMENTS.sub("\n", text)[1:]


def _text(name: str) -> str:
    # importlib.resources would add 3 ms to every start.
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
