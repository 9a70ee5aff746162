"""Running work: the least job there is, and one that prints 100 MB."""

from collections.abc import Iterator

from .figure import Aggregate, Run, ratio_figure
from .site import CLBALANCE, CLUSH, Site

_BIG_BYTES = 100_000_000


def run(site: Site) -> Iterator[Aggregate]:
    """`run -- true` probes, starts, follows and reports; clush only runs it."""
    with site.lab("run", 8) as lab:
        ours, theirs = [CLBALANCE, "run", "-w", "node3", "--", "true"], [CLUSH, "-w", "node3", "true"]
        runs = site.interleaved(ours, theirs, site.environment(lab))
    yield ratio_figure("run -w node3 -- true", *runs, limit=2.5, note="the aim is 1.7")


def output(site: Site) -> Iterator[Aggregate]:
    """100 MB through a job's output, against ssh itself."""
    with site.lab("output", 4) as lab:
        big = lab.node("node3").folder.tmp / "big"
        big.write_bytes(bytes(range(256)) * (_BIG_BYTES // 256))
        ours = [CLBALANCE, "run", "-q", "-w", "node3", "--", "cat", str(big)]
        runs = site.interleaved(ours, ["ssh", "node3", f"cat {big}"], site.environment(lab), pairs=5)
    rates = [f"{_BIG_BYTES / 1e6 / _median(series):.0f} MB/s" for series in runs]
    yield ratio_figure("run of 100 MB of output, against ssh", *runs, note=f"{rates[0]}, ssh {rates[1]}")


def _median(series: list[Run]) -> float:
    return sorted(run.wall_s for run in series)[len(series) // 2]
