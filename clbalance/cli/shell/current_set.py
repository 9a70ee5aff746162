"""The current node set: the nodes that commands go to, and what the prompt shows of it."""

from collections.abc import Callable

from clbalance.errors import NodeNameError, UsageError
from clbalance.model import NodeName
from clbalance.nodeset import fold
from clbalance.policy.shell.line import ChangeSet

_MOST_SHOWN = 40


class CurrentSet:
    """Some nodes, by name: what becomes of a group afterwards changes nothing."""

    def __init__(self, everything: tuple[NodeName, ...], expand: Callable[[str], tuple[NodeName, ...]]) -> None:
        """`everything`: the nodes that the shell began with. `expand` knows node sets as they are typed."""
        self._everything = everything
        self._expand = expand
        self.nodes = everything

    @property
    def is_narrowed(self) -> bool:
        """Whether it differs from the nodes that the shell began with."""
        return self.nodes != self._everything

    @property
    def folded(self) -> str:
        """As it is typed."""
        return fold(self.nodes)

    @property
    def short(self) -> str:
        """For the prompt: the folded set, or the number of nodes where that is long."""
        folded = self.folded
        return folded if len(folded) <= _MOST_SHOWN else f"{len(self.nodes)} nodes"

    def use(self, text: str) -> None:
        """Make these the nodes; empty: those at the beginning."""
        self.nodes = self._expand(text) if text else self._everything

    def change(self, asked: ChangeSet) -> None:
        """Add, take away or keep nodes. `UsageError` if none would be left; the set stays then."""
        if not asked.text:
            raise UsageError(f"`{asked.operator}` needs nodes after it", hint=f"such as `{asked.operator}node[1-4]`")
        named = self._expand(asked.text)
        match asked.operator:
            case "+":
                left = tuple(dict.fromkeys((*self.nodes, *named)))
            case "-":
                left = tuple(node for node in self.nodes if node not in named)
            case _:
                left = tuple(node for node in self.nodes if node in named)
        if not left:
            raise NodeNameError("no node would be left in the set")
        self.nodes = left
