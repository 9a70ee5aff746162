"""Print the least loaded nodes, and why the others are not used: `python3 look.py [NODES]`."""

import sys

import clbalance

cluster = clbalance.Cluster(sys.argv[1] if len(sys.argv) > 1 else None)
for name, load in cluster.load(timeout=60).items():
    mem = "-" if load.mem_available_bytes is None else f"{load.mem_available_bytes >> 30} GiB free"
    print(f"{name}: {load.state}, {'-' if load.r1m is None else load.r1m} in the run queue, {mem}", load.reason)
print("best for two jobs of 2 cpus:", cluster.pick(2, cpus=2))
