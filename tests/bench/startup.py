"""How soon a program answers about itself: `--version`, `--help` of every verb, and what a shell may complete."""

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


def completion(site: Site) -> Iterator[Aggregate]:
    """At most half of `clush --version`: of its processor time, which the column of ratios shows."""
    asked = {**site.environment(), "_CLBALANCE_COMPLETE": "words"}
    for words in (["lo"], ["load", "-w", ""], ["cancel", ""]):
        runs = site.interleaved([CLBALANCE, *words], [CLUSH, "--version"], asked)
        yield ratio_figure(f"Tab after {' '.join(words)}", *runs, limit=0.5)


def helps(site: Site) -> Iterator[Aggregate]:
    """At most `clush --help`, each."""
    for words in CALLS:
        runs = site.interleaved([CLBALANCE, *words, "--help"], [CLUSH, "--help"], site.environment())
        yield ratio_figure(" ".join([*words, "--help"]), *runs, limit=1.0)
