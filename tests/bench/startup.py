"""How soon a program answers about itself: `--version`, and `--help` of every verb."""

from collections.abc import Iterator

from clbalance.cli.verbs import VERBS

from .figure import Aggregate, ratio_figure
from .site import CLBALANCE, CLUSH, Site

CALLS = (
    (),
    *((verb,) for verb in VERBS),
    *(("lab", verb) for verb in ("up", "down", "status", "load", "kill", "boot", "hang", "thaw", "env")),
    *(("config", verb) for verb in ("show", "path", "check", "groups", "timer")),
)


def version(site: Site) -> Iterator[Aggregate]:
    """At most half of `clush --version`."""
    runs = site.interleaved([CLBALANCE, "--version"], [CLUSH, "--version"], site.environment())
    yield ratio_figure("--version", *runs, limit=0.5)


def helps(site: Site) -> Iterator[Aggregate]:
    """At most `clush --help`, each."""
    for words in CALLS:
        runs = site.interleaved([CLBALANCE, *words, "--help"], [CLUSH, "--help"], site.environment())
        yield ratio_figure(" ".join([*words, "--help"]), *runs, limit=1.0)
