"""Plug-ins for clbalance. Nodes, requests and jobs are plain dictionaries (docs/guide/plugins.md)."""

import os
from pathlib import Path
from typing import Any


def big_nodes(node: dict[str, Any], request: dict[str, Any]) -> str | None:
    """A filter: nodes with 64 cpus or more are for jobs that ask for more than one."""
    cpus = node["indices"]["cpus"]
    if cpus is not None and cpus >= 64 and request["cpus"] <= 1:
        return "kept for jobs of several cpus"
    return None


def quiet(node: dict[str, Any], request: dict[str, Any]) -> float:
    """A scorer: fewer people who are logged in are better. 0 to 100 points."""
    logins = node["indices"]["ls"]
    return 50.0 if logins is None else max(0.0, 100.0 - 20.0 * logins)


UPTIME = """\
#!/bin/sh
read -r seconds rest </proc/uptime
echo "uptime_days $((${seconds%.*} / 86400))"
"""
"""A probe: the text of a program that prints `name value` lines on each node."""


def inventory() -> dict[str, str]:
    """A group source: node sets by group. Here two groups; yours may read a file or ask a service."""
    return {"front": "node[1-2]", "gpu": "node[3-4]"}


def logbook(job: dict[str, Any]) -> None:
    """A notifier: a line for each job that has ended, in the file that a variable names."""
    if path := os.environ.get("SITE_LOGBOOK"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{job['id']} {job['state']} {job['rc']}\n")
