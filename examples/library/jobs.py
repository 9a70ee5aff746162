"""Start a job, wait for its end, and read its output: `python3 jobs.py [NODES]`."""

import sys

import clbalance

cluster = clbalance.Cluster(sys.argv[1] if len(sys.argv) > 1 else None)
job = cluster.submit("echo working on $CLBALANCE_NODE", name="greeting", mem="100M", time_limit="5m")
print(f"job {job.id} runs on {job.status().nodes}")
end = job.wait(timeout=600)
print(end.state, end.returncode, job.stdout().decode().strip())
for done in cluster.map([["uname", "-s"], "echo $((6 * 7))"]):
    print(done.text.strip(), done.returncode)
