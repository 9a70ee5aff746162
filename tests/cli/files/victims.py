"""Processes of a transfer that tests kill."""

from pathlib import Path

from clbalance.lab.cluster import Lab
from tests.cli.command import local_ssh


def victims(lab: Lab, client: int, who: str) -> list[int]:
    """The client itself, its ssh, or the file program on node1."""
    if who == "client":
        return [client]
    if who == "ssh":
        return local_ssh(lab)
    return [pid for pid in lab.node("node1").processes() if is_file_program(pid)]


def is_file_program(pid: int) -> bool:
    """Whether it is the program that serves files on a node."""
    try:
        return b"/dev/fd/3" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
