"""Every group of the default source, looked at before somebody needs one."""

from collections.abc import Mapping

from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError, GroupSourceNoUpcall

from clbalance.errors import NodeNameError
from clbalance.lazy_dataclass import dataclass
from clbalance.nodes import GroupNames, NodeSets

_MOST = 200  # each may be a program that is run


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsSeen:
    """Groups that name no node, and why others cannot be used; of more than 200 only the first 200."""

    empty: tuple[str, ...] = ()
    unusable: Mapping[str, str]


def look_at_groups(resolver: GroupNames) -> GroupsSeen:
    """What the groups of the default source say; a source that cannot list its groups has none to look at."""
    try:
        names = sorted(resolver.grouplist(None))[:_MOST]
    except GroupSourceNoUpcall:
        return GroupsSeen(unusable={})
    except (GroupResolverError, GroupSourceError) as error:
        return GroupsSeen(unusable={"*": str(error)})
    sets = NodeSets(resolver)
    empty: list[str] = []
    unusable: dict[str, str] = {}
    for name in names:
        try:
            if not sets.group(name):
                empty.append(name)
        except NodeNameError as error:
            unusable[name] = error.message
    return GroupsSeen(empty=tuple(empty), unusable=unusable)
