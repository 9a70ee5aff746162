"""Run a Dask program on the least loaded nodes, by Dask's own `SSHCluster`: `python3 ssh_cluster.py [NODES]`.

    pip install distributed asyncssh

Dask reserves nothing: nodes that are picked are those that are free now. For a cluster that holds its cpus and memory
see `clbalance play dask-cluster`.
"""

import json
import os
import sys

from distributed import Client, SSHCluster

import clbalance


def main() -> None:
    """Scheduler on the best node, workers on it and the next one."""
    best = clbalance.Cluster(sys.argv[1] if len(sys.argv) > 1 else None).pick(2, cpus=2, mem="1G")
    with (
        SSHCluster(
            [best[0], *best],
            connect_options=json.loads(
                os.environ.get("DASK_CONNECT_OPTIONS", "{}")
            ),  # as `asyncssh.connect` takes them
            worker_options={"nthreads": 2},
            remote_python=sys.executable,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(len(best), timeout=100)
        print(sum(client.gather(client.map(pow, range(10), [2] * 10))), "from", len(best), "workers")


if __name__ == "__main__":
    main()
