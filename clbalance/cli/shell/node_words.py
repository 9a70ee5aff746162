"""Node sets as they are typed in the shell: selectors in them are replaced by the nodes that they stand for now."""

from collections.abc import Callable, Sequence

from clbalance.cli.cluster import ClusterContext
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import ClbalanceError
from clbalance.model import NodeName, Snapshot
from clbalance.nodeset import fold
from clbalance.policy.shell.selectors import in_long_form, replaced, selected, selectors_in

_OPTIONS = frozenset({"-w", "--nodes", "-x", "--exclude"})
_WITH_SET = ("--nodes=", "--exclude=", "-w", "-x")
"""Begins a word that has the option's value in it."""
_WORDS_OF_OTHERS = frozenset({"run", "play", "copy", "fetch", "help", "show", "logs", "attach", "wait", "cancel"})
"""Verbs whose words are no node sets."""


class NodeWords:
    """Knows the nodes of selectors. They are asked at most once for each line."""

    def __init__(self, cluster: ClusterContext, is_group: Callable[[str], bool]) -> None:
        """`cluster`: with the nodes at the beginning. `is_group`: whether the site has a group of that name."""
        self._cluster = cluster
        self._is_group = is_group

    def in_set(self, text: str) -> str:
        """The node set without selectors."""
        return self._without_selectors([text])[0]

    def in_verb(self, words: Sequence[str]) -> list[str]:
        """The words of a verb, with selectors replaced where node sets stand."""
        places = [at for at in range(1, len(words)) if _is_set(words, at)]
        changed = list(words)
        for at, text in zip(places, self._without_selectors([words[at] for at in places]), strict=True):
            changed[at] = text
        return changed

    def _without_selectors(self, texts: Sequence[str]) -> list[str]:
        long = [in_long_form(text, self._is_group) for text in texts]
        if not any(map(selectors_in, long)):
            return long
        snapshot, policy, rng = self._snapshot(), self._cluster.policy, self._cluster.rng

        def nodes(selector: str) -> str:
            found: Sequence[NodeName] = selected(selector, snapshot, policy, rng)
            return fold(found)

        return [replaced(text, nodes) for text in long]

    def _snapshot(self) -> Snapshot:
        with self._cluster.services() as services:
            return take_snapshot(services, self._cluster.candidates.nodes)


def _is_set(words: Sequence[str], at: int) -> bool:
    if "@" not in words[at] or "--" in words[:at]:
        return False
    if words[at - 1] in _OPTIONS or words[at].startswith(_WITH_SET):
        return True
    return words[0] not in _WORDS_OF_OTHERS and not words[at].startswith("-") and not words[at - 1].startswith("--")


def is_group_of(expand: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether a group of that name can be used."""

    def is_group(name: str) -> bool:
        try:
            expand(f"@{name}")
        except ClbalanceError:
            return False
        return True

    return is_group
