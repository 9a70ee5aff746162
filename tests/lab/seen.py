"""How tests look at a lab."""

import subprocess

from clbalance.lab.cluster import Lab


def ssh(lab: Lab, node: str, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What a plain ssh client gets to see."""
    argv = ["ssh", "-F", str(lab.ssh_config), *options, "--", node, command]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)


def told(lab: Lab, node: str, command: str, *options: str) -> str:
    """Standard output of a command that must succeed."""
    done = ssh(lab, node, command, *options)
    assert done.returncode == 0, done
    return done.stdout.strip()
