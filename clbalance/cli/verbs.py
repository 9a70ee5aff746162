"""What can be typed first, and what `clbalance --help` says of it without importing any of it."""

from collections.abc import Mapping

VERBS: Mapping[str, str] = {
    "load": "Show the load of nodes, least loaded first.",
    "pick": "Print the least loaded nodes, folded as clush reads them.",
    "run": "Run a script or a command on the least loaded nodes.",
    "jobs": "Show your jobs: where they run, how they ended.",
    "logs": "Show what a job has printed.",
    "attach": "Show what a job prints, and exit with its code.",
    "wait": "Wait until jobs are over, and exit with their code.",
    "cancel": "End jobs, with every process of theirs.",
    "requeue": "Start a job again, as it was submitted.",
    "explain": "Say why a job went where it went.",
    "replay": "Place a trace through this same code, and compare policies.",
    "rebalance": "Start jobs that wait, and move jobs off nodes that are over.",
    "drain": "Let nodes take no new work, with a reason.",
    "resume": "Take your drain marks away again.",
    "reap": "Find what your jobs have left on nodes.",
    "history": "Draw what the load of nodes was.",
    "metrics": "Print the load of nodes in Prometheus' text format.",
    "doctor": "Say what is wrong with this host and with nodes.",
    "config": "Show and check what is set up, and print what sets up more.",
    "lab": "Try it all on a cluster in a box.",
}
"""In the order of `--help`; each is a module beside this one that has `register`. A line fits 80 columns whole."""
