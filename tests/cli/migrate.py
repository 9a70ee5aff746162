"""Moves the jobs that it is told to, as `rebalance` does with those of its plan: `JOB:SRC:DST ...`; JSON on stdout."""

import json
import sys

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions, VerbosityOptions
from clbalance.cli.run.job_input import input_of
from clbalance.cli.signals import ignore, raise_once
from clbalance.engine.migrate.migrate import migrate_jobs
from clbalance.engine.migrate.requested import MigrationOrder
from clbalance.errors import Interrupted
from clbalance.model import NodeName


def asked(word: str) -> MigrationOrder:
    job, src, dst = word.split(":")
    return MigrationOrder(job=int(job), src=NodeName(src), dst=NodeName(dst), reason=f"{src} is over")


def main() -> int:
    cluster = cluster_context(
        NodeOptions(everything=True),
        SshOptions(connect_timeout="2s", command_timeout="2s"),
        Console.of(VerbosityOptions()),
    )
    raise_once()
    try:
        with cluster.services(needs_store=True) as services:
            ends = migrate_jobs(
                services, [asked(word) for word in sys.argv[1:]], lambda one: cluster.query_of(one.request), input_of
            )
    except Interrupted as stop:
        ignore()  # the alarm that hurries us must not meet an interpreter that is on its way out
        return 128 + stop.signum
    parts = [[type(end).__name__, getattr(end, "reason", None) or getattr(end, "node", None)] for end in ends]
    print(json.dumps(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
