"""How soon a program answers about itself: `--version`, `--help` of every verb, and what a shell may complete."""

from clbalance.cli.verbs import VERBS

from .question import Peer, Question

_CALLS = (
    *((verb,) for verb in VERBS),
    *(("lab", verb) for verb in ("up", "down", "status", "load", "kill", "boot", "hang", "thaw", "env")),
    *(("config", verb) for verb in ("show", "path", "check", "groups", "timer", "connections")),
)
_TAB = {"_CLBALANCE_COMPLETE": "words"}

QUESTIONS = (
    Question("version", "--version", "clbalance --version", (Peer("clush", "clush --version", limit=0.25),)),
    Question("help", "--help", "clbalance --help", (Peer("clush", "clush --help", limit=0.7),)),
    *(
        Question(
            f"verb-{'-'.join(words)}",
            f"{' '.join(words)} --help",
            f"clbalance {' '.join(words)} --help",
            (Peer("clush", "clush --help", limit=0.8),),
        )
        for words in _CALLS
    ),
    *(
        Question(
            f"tab-{name}",
            f"the Tab key after `{line}`",
            f"clbalance {line}",
            (Peer("clush", "clush --version", limit=0.5),),
            environment=_TAB,
        )
        for name, line in (("verb", "lo"), ("nodes", "load -w ''"), ("jobs", "cancel ''"))
    ),
)
