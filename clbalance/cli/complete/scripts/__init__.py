"""The scripts that make shells ask us; each is also a file that a shell finds by itself where it is installed."""

from pathlib import Path


def completion_script(shell: str) -> str:
    """The script for `bash`, `zsh` or `fish`."""
    return (Path(__file__).parent / f"clbalance.{shell}").read_text("ascii")
