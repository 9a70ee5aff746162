"""Commands on a HyperQueue cluster of this machine: with_hyperqueue.py FOLDER WORKERS CORES FILE, a command per line."""

import sys
from pathlib import Path

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def main(folder: str, workers: str, cores: str, commands: str) -> None:
    with LocalCluster(folder) as cluster:
        for _ in range(int(workers)):
            cluster.start_worker(WorkerConfig(cores=int(cores)))
        client = cluster.client()
        job = Job(max_fails=0)
        for command in Path(commands).read_text().splitlines():
            job.program(command.split(), stdout=None, stderr=None)
        client.wait_for_jobs([client.submit(job)])


main(*sys.argv[1:])
