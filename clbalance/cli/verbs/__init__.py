"""The table of verbs: their modules, and their lines in `clbalance --help`, which imports none of them."""

from collections.abc import Mapping

VERBS: Mapping[str, tuple[str, str]] = {
    "load": ("nodes", "Show the load of nodes, least loaded first."),
    "pick": ("nodes", "Print the least loaded nodes, folded as clush reads them."),
    "run": ("jobs", "Run a script or a command on the least loaded nodes."),
    "jobs": ("jobs", "Show your jobs: where they run, how they ended."),
    "show": ("jobs", "Show everything that is known of a job."),
    "logs": ("jobs", "Show what a job has printed."),
    "attach": ("jobs", "Show what a job prints, and exit with its code."),
    "wait": ("jobs", "Wait until jobs are over, and exit with their code."),
    "cancel": ("jobs", "End jobs, with every process of theirs."),
    "requeue": ("jobs", "Start a job again, as it was submitted."),
    "hold": ("jobs", "Keep pending jobs from being started."),
    "release": ("jobs", "Let held jobs start again."),
    "update": ("jobs", "Change the name, priority or time limit of pending jobs."),
    "explain": ("jobs", "Say why a job went where it went."),
    "replay": ("balance", "Place a trace through this same code, and compare policies."),
    "rebalance": ("balance", "Start jobs that wait, and move jobs off nodes that are over."),
    "drain": ("balance", "Let nodes take no new work, with a reason."),
    "resume": ("balance", "Take your drain marks away again."),
    "reap": ("admin", "Find what your jobs have left on nodes."),
    "history": ("nodes", "Draw what the load of nodes was."),
    "metrics": ("nodes", "Print the load of nodes in Prometheus' text format."),
    "doctor": ("admin", "Say what is wrong with this host and with nodes."),
    "config": ("admin", "Show and check what is set up, and print what sets up more."),
    "completion": ("admin", "Print a script that makes the Tab key complete all this."),
    "help": ("admin", "Show what can be typed after a verb."),
    "lab": ("admin", "Try it all on a cluster in a box."),
}
"""In the order of `--help`: the folder here with the verb's file, and a help line that fits into 80 columns."""
