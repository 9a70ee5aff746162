"""Try many parameters on all free places of a cluster, and print the best: `python3 sweep.py [NODES]`.

The function is in a module, `model.py` beside this file, that every node can import: here from a shared home.
"""

import sys
from concurrent.futures import as_completed
from pathlib import Path

from model import loss

import clbalance
from clbalance.errors import NothingFitsError, TaskFailedError

cluster = clbalance.Cluster(sys.argv[1] if len(sys.argv) > 1 else None)
rates = [rate / 10 for rate in range(1, 10)]
try:
    with clbalance.Executor(cluster, cpus=1, cwd=Path(__file__).parent, time_limit="10m", name="sweep") as executor:
        futures = {executor.submit(loss, rate): rate for rate in rates}
        for future in as_completed(futures):
            print(f"rate {futures[future]}: {future.result():.3f}")
except NothingFitsError as error:
    sys.exit(f"{error.message}; {error.hint}")
except TaskFailedError as error:
    sys.exit(f"{error} ({error.state})")
best = min(futures, key=lambda future: future.result())
print("best:", futures[best])
