"""The texts that run on nodes, as data. They import nothing of ours, and nothing here imports them."""

import re
from functools import cache
from pathlib import Path

_AGENT = [
    "protocol",
    "fields",
    "folder",
    "job/outcome",
    "tree",
    "lease/files",
    "lease/drains",
    "lease/capacity",
    "lease/cpus",
    "lease/admission",
    "job/program",
    "job/task",
    "job/fork",
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
"""The agent's files, each after those that it imports; what says hello comes before what takes long to compile."""

_IMPORTS_OF_OURS = re.compile(r"^from clbalance\.node\.agent\.[\w.]+ import (?:\([^)]*\)|[^(\n]*)$", re.MULTILINE)

_DOCSTRINGS = re.compile(r'\n( *)"""\S[^"]*(?:"[^"]+)*"""(?=\n)')
_COMMENTS = re.compile(r"\n *# [^\n]*")
"""Of whole lines. They are a quarter of what would travel."""


def probe_script() -> str:
    """The POSIX shell text of a probe; `probe.frame.probe_request` makes it ready to send."""
    return _text("probe.sh")


def checkup_script() -> str:
    """The POSIX shell text of a check-up, sent as a probe is; what can hang in it has the probe's own guard."""
    _, heading, rest = _text("probe.sh").partition("  # -- a deadline for what can hang")
    guard = rest.partition("  # -- what can hang\n")[0]
    assert heading
    assert guard
    return _text("checkup.sh").replace("  # @GUARD@\n", heading + guard)


def relay_source() -> str:
    """The Python text that joins a login's terminal to a job's."""
    return _text("relay.py")


@cache
def agent_source() -> str:
    """The Python text of the agent: its files one after the other, each behind a line `# -- NAME.py`."""
    return "".join(f"# -- {name}.py\n{_alone(_text(f'agent/{name}.py'))}" for name in _AGENT)


def _alone(text: str) -> str:
    """Without what is imported from the other files, for it is in the same text, and without what is for readers.

    Each line keeps its number.
    """
    text = _IMPORTS_OF_OURS.sub(lambda found: "\n" * found[0].count("\n"), f"\n{text}")
    text = _DOCSTRINGS.sub(lambda found: f'\n{found[1]}""' + "\n" * (found[0].count("\n") - 1), text)
    return _COMMENTS.sub("\n", text)[1:]


def _text(name: str) -> str:
    # importlib.resources would take 3 ms of every start.
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
