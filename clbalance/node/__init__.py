"""The programs that run on nodes, as text. They import nothing else of this package.

They are sent, not imported, but for the rules of limits, by which placement reads a node's text as the node does.
"""

from collections.abc import Collection
from functools import cache
from pathlib import Path


def probe_script(*, owners: bool = False, programs: str = "", limits: str = "") -> str:
    """The POSIX shell text of a probe; `probe.frame.probe_request` makes it ready to send.

    `owners`: it also asks whose the processes on GPUs are. `programs`, `limits`: of the site's own programs
    (`probe/site_programs.py`).
    """
    text = _text("probe.sh").replace("@OWNERS@", "yes" if owners else "")
    return text.replace("@LIMITS@", limits).replace("@PROGRAMS@", programs)


def checkup_script() -> str:
    """The POSIX shell text of a check-up, sent like a probe. It contains the probe's guard for hanging commands."""
    return _guarded("checkup.sh")


def names_script(uids: Collection[int]) -> str:
    """The POSIX shell text that asks for the names of these users, sent like a probe."""
    return _guarded("names.sh").replace("@UIDS@", " ".join(map(str, sorted(uids))))


def _guarded(name: str) -> str:
    _, heading, rest = _text("probe.sh").partition("  # -- a deadline for what can hang")
    guard = rest.partition("  # -- what can hang\n")[0].replace("@LIMITS@", "")
    assert heading
    assert guard
    return _text(name).replace("  # @GUARD@\n", heading + guard)


def relay_source() -> str:
    """The Python text that connects the terminal of a login with the terminal of a job."""
    return _text("relay.py")


_REAPING = ("clbalance.node.agent.reap", "clbalance.node.agent.leftovers")
"""Modules that only `reap` needs: a sixteenth of the agent's text, which must stay below 64 KiB."""
_OF_JOBS = tuple(f"clbalance.node.agent.{name}" for name in ("lease.limits", "lease.limits_file", "job.terminal"))
"""Some that it does not need."""


@cache
def agent_source() -> str:
    """The Python text that runs the agent. It cannot reap."""
    return _program("agent", without=_REAPING)


@cache
def reaping_agent_source() -> str:
    """The same, of an agent that can reap, and admits no job."""
    return _program("agent", without=_OF_JOBS)


@cache
def files_source() -> str:
    """The Python text that runs the file program (docs/design/copy.md)."""
    return _program("files")


def _program(folder: str, without: Collection[str] = ()) -> str:
    from clbalance.node.packing import packed, sources_of

    sources = {name: source for name, source in sources_of(folder).items() if name not in without}
    return packed(sources, f"clbalance.node.{folder}.serve")


def _text(name: str) -> str:
    # importlib.resources would add 3 ms to every start.
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
