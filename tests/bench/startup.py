"""How soon a program answers that reaches no node: about itself, what a shell may complete, and what this host knows."""

from clbalance.cli.verbs import VERBS

from .question import Peer, Question

_CALLS = (
    *((verb,) for verb in VERBS),
    *(("lab", verb) for verb in ("up", "down", "status", "load", "kill", "boot", "hang", "thaw", "env")),
    *(("config", verb) for verb in ("show", "path", "check", "groups", "timer", "connections")),
)
_TAB = {"_CLBALANCE_COMPLETE": "words"}
_ON_THIS_HOST = ("jobs", "config show", "config check", "completion bash", "help load")
"""Calls of verbs that reach no node."""

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
            f"host-{line.replace(' ', '-')}",
            f"`{line}`, which reaches no node",
            f"clbalance {line}",
            (Peer("clush", "clush --version"),),
        )
        for line in _ON_THIS_HOST
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
