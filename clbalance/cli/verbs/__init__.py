"""The table of verbs: their modules, and their lines in `clbalance --help`, which imports none of them."""

from collections.abc import Mapping

VERBS: Mapping[str, tuple[str, str]] = {
    "load": ("nodes", "Show the load of nodes, least loaded first."),
    "top": ("nodes", "Show nodes, GPUs and jobs of many hosts, on a live screen."),
    "pick": ("nodes", "Print the least loaded nodes as a node set, for clush."),
    "shell": ("nodes", "A prompt: commands on all nodes at once, and every verb."),
    "run": ("jobs", "Run a script or a command on the least loaded nodes."),
    "jobs": ("jobs", "Show your jobs: their states, nodes and exit codes."),
    "show": ("jobs", "Show everything that is known of a job."),
    "logs": ("jobs", "Show the output of a job."),
    "attach": ("jobs", "Follow the output of a job, and exit with its code."),
    "wait": ("jobs", "Wait until jobs have ended, and exit with their code."),
    "cancel": ("jobs", "Cancel jobs, with all their processes."),
    "requeue": ("jobs", "Start a job again, as it was submitted."),
    "hold": ("jobs", "Keep pending jobs from being started."),
    "release": ("jobs", "Let held jobs start again."),
    "update": ("jobs", "Change the name, priority or time limit of pending jobs."),
    "explain": ("jobs", "Show why a job was placed on its nodes."),
    "copy": ("files", "Copy files and folders to nodes, each file whole or as it was."),
    "fetch": ("files", "Fetch files and folders from nodes, as NAME.NODE."),
    "replay": ("balance", "Simulate a trace of jobs, and compare placement policies."),
    "rebalance": ("balance", "Start queued jobs, and move jobs off overloaded nodes."),
    "drain": ("balance", "Keep new jobs off nodes, with a reason (maintenance)."),
    "resume": ("balance", "Return nodes to service that you have drained."),
    "play": ("balance", "Run a playbook over nodes, least loaded first."),
    "reap": ("admin", "Find and remove what your ended jobs left on nodes."),
    "history": ("nodes", "Draw the load of nodes over time."),
    "report": ("nodes", "Report on a period: use, users, jobs, waits, waste and cost."),
    "metrics": ("nodes", "Print the load of nodes in Prometheus' text format."),
    "doctor": ("admin", "Check this host and nodes for problems."),
    "config": ("admin", "Show and check settings; print groups for clush and a timer."),
    "completion": ("admin", "Print the completion script for bash, zsh or fish."),
    "help": ("admin", "Show the help of a verb."),
    "lab": ("admin", "Run a test cluster on this machine."),
}
"""In the order of `--help`: the folder here with the verb's file, and a help line that fits into 80 columns."""
