"""What the site's own programs cost a sweep: one that prints a line, and one that hangs on every node."""

from collections.abc import Iterator
from statistics import median

from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec

from .figure import Figure, Spread
from .question import Measurement
from .site import CLBALANCE, Site, timed

_NODES = 32
_TEXTS = {"one that prints a line": "#!/bin/sh\necho x 1\n", "one that hangs": "#!/bin/sh\nsleep 1000\n"}
_LIMITS = {"one that hangs": 1.1}


def with_programs(site: Site) -> Iterator[Figure]:
    """In turn, with each program and without any. The first time of each, which finds that it hangs, is told apart."""
    with Lab.up(site.folder / "plugins", LabSpec(nodes=_NODES, tied=True)) as lab:
        environment = {**site.environment(lab), "CLBALANCE_CONFIG": "/dev/null"}
        settings = {"": environment}
        for number, (name, text) in enumerate(_TEXTS.items()):
            (site.folder / f"program{number}").write_text(text)
            file = site.folder / f"plugins{number}.toml"
            file.write_text(f'[index.x]\nprogram = "program{number}"\n')
            settings[name] = {**environment, "CLBALANCE_CONFIG": str(file)}
        taken: dict[str, list[float]] = {name: [] for name in settings}
        for number in range(site.rounds + 1):
            for name in settings if number % 2 else reversed(settings):
                taken[name].append(timed([CLBALANCE, "load", "-w", f"node[1-{_NODES}]"], settings[name]).wall_s)
    without = taken.pop("")[1:]
    for name, (first, *rest) in taken.items():
        yield Figure(
            name=f"load of {_NODES} nodes with a plug-in, {name}",
            value=median(rest) / median(without),
            unit="times of without",
            limit=_LIMITS.get(name),
            ours_s=Spread.of(rest),
            note=f"without {Spread.of(without)} s; the first time {first:.2f} s",
        )


MEASUREMENTS = (
    Measurement("plugins", f"load of {_NODES} nodes with a plug-in that hangs, against none", with_programs),
)
