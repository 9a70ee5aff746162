"""How soon a program answers about itself: `--version`, and `--help` of every verb."""

from collections.abc import Iterator

from .figure import Figure, ratio_figure
from .site import CLBALANCE, CLUSH, Site

VERBS = (
    (),
    ("load",),
    ("pick",),
    ("run",),
    ("drain",),
    ("resume",),
    ("lab",),
    *(("lab", verb) for verb in ("up", "down", "status", "load", "kill", "boot", "hang", "thaw", "env")),
)


def version(site: Site) -> Iterator[Figure]:
    """At most half of `clush --version`."""
    runs = site.interleaved([CLBALANCE, "--version"], [CLUSH, "--version"], site.environment())
    yield ratio_figure("--version", *runs, limit=0.5)


def helps(site: Site) -> Iterator[Figure]:
    """At most `clush --help`, each."""
    for verb in VERBS:
        runs = site.interleaved([CLBALANCE, *verb, "--help"], [CLUSH, "--help"], site.environment())
        yield ratio_figure(" ".join([*verb, "--help"]), *runs, limit=1.0)
