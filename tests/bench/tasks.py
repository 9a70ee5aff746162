"""Many tasks: two thousand times `true` over sixteen nodes, against GNU parallel with the same slots."""

import shutil
from collections.abc import Iterator

from .figure import Aggregate, ratio_figure
from .site import CLBALANCE, Site, WrongRunError

_TASKS = 2000
_NODES = 16
_SLOTS = 4  # of a node of the lab, by its cpus


def tasks(site: Site) -> Iterator[Aggregate]:
    """Whole processes. Ours writes every start and end down, on the disk, before and after; parallel keeps a joblog."""
    parallel = shutil.which("parallel")
    if parallel is None:
        raise WrongRunError("GNU parallel is not installed: `apt-get install parallel`")
    with site.lab("tasks", _NODES) as lab:
        env = site.environment(lab) | {"CLBALANCE_STATE_DIR": str(site.folder / "tasks-state")}
        logins = site.folder / "logins"
        logins.write_text("".join(f"{_SLOTS}/{node.name}\n" for node in lab.nodes))
        numbers = site.folder / "numbers"
        numbers.write_text("".join(f"{number}\n" for number in range(_TASKS)))
        ours = [CLBALANCE, "run", "-q", "-a", "--array", f"0-{_TASKS - 1}", "--", "true"]
        theirs = [parallel, "--will-cite", "--ssh", f"ssh -F {lab.ssh_config}", "--sshloginfile", str(logins)]
        theirs += ["--joblog", str(site.folder / "joblog"), "-a", str(numbers), "true"]
        runs = site.interleaved(ours, theirs, env, pairs=min(site.pairs, 3), warm_up=False, timeout_s=900.0)
    rates = [_TASKS / sorted(run.wall_s for run in series)[len(series) // 2] for series in runs]
    note = f"{rates[0]:.0f} tasks a second, parallel {rates[1]:.0f}"
    yield ratio_figure(f"{_TASKS} x true on {_NODES} nodes, against GNU parallel", *runs, limit=0.1, note=note)
