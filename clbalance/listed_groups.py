"""Groups as ClusterShell's parser asks for them while it reads what a user typed: an unlisted one is an error.

`nodeset.py` imports this module, after ClusterShell.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Protocol

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException
from ClusterShell.NodeUtils import (
    GroupResolverError,
    GroupResolverIllegalCharError,
    GroupSourceError,
    GroupSourceNoUpcall,
)

from clbalance.errors import NodeNameError
from clbalance.node_set_text import MAX_NODES, most_names


class GroupNames(Protocol):
    """The part of ClusterShell's `GroupResolver` that is used here."""

    def grouplist(self, namespace: str | None = None) -> list[str]:
        """Names of all groups of a source (None: the default source)."""
        ...

    def group_nodes(self, group: str, namespace: str | None = None) -> list[str]:
        """The node sets that make up a group."""
        ...

    def all_nodes(self, namespace: str | None = None) -> list[str]:
        """The node sets that make up all nodes of a source; `GroupSourceNoUpcall` if the source cannot name them."""
        ...


class ListedGroups:
    """Groups for ClusterShell's parser. One that its source does not list is an error.

    Many sources answer an unknown name with an empty group.
    """

    def __init__(self, resolver: GroupNames) -> None:
        self._resolver = resolver
        self._listed: dict[str | None, frozenset[str] | None] = {}

    def grouplist(self, namespace: str | None = None) -> list[str]:
        return self._resolver.grouplist(namespace)

    def all_nodes(self, namespace: str | None = None) -> list[str]:
        return self._resolver.all_nodes(namespace)

    def group_nodes(self, group: str, namespace: str | None = None) -> list[str]:
        """As in `GroupNames`; `NodeNameError` for a group that its source does not list."""
        if namespace not in self._listed:
            self._listed[namespace] = self._names(namespace)
        listed = self._listed[namespace]
        if listed is not None and group not in listed:
            raise _unknown_group(group, f"{namespace}:" if namespace else "", sorted(listed))
        return self._resolver.group_nodes(group, namespace)

    def _names(self, namespace: str | None) -> frozenset[str] | None:
        """All groups; None if the source cannot list them, or lists one that is none."""
        try:
            names = self._resolver.grouplist(namespace)
        except (GroupSourceNoUpcall, GroupResolverIllegalCharError):
            return None
        except (GroupResolverError, GroupSourceError) as error:
            named = namespace or getattr(getattr(error, "group_source", None), "name", "default")
            raise NodeNameError(f"group source `{named}` is not usable: {error}") from error
        ranges = [name for name in names if "[" in name]
        return frozenset(names) if not ranges else frozenset(names) | _expanded(ranges)


def _expanded(ranges: Iterable[str]) -> frozenset[str]:
    """The single groups that a source lists as ranges, such as `rack[1-3]`."""
    small = [text for text in ranges if most_names(text) <= MAX_NODES]
    with suppress(NodeSetException, ValueError):
        return frozenset(name for text in small for name in NodeSet(text, resolver=RESOLVER_NOGROUP))
    return frozenset()


def _unknown_group(name: str, before: str, known: Sequence[str]) -> NodeNameError:
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    return NodeNameError(
        f"no group `{before}{name}`",
        hint=f"did you mean {' or '.join(f'`{before}{n}`' for n in near)}?"
        if near
        else f"known groups: {', '.join(f'{before}{n}' for n in known[:10]) or 'none'}",
    )
