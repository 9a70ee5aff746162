"""The texts that run on nodes, as data. They import nothing of ours, and nothing here imports them."""

from pathlib import Path


def probe_script() -> str:
    """The POSIX shell text of a probe; `probe.frame.probe_request` makes it ready to send."""
    return _text("probe.sh")


def agent_source() -> str:
    """The Python text of the agent."""
    return _text("agent.py")


def _text(name: str) -> str:
    # importlib.resources would take 3 ms of every start.
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
