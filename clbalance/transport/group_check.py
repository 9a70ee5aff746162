"""Files, sources and groups, looked at before somebody needs one."""

from collections.abc import Iterator, Mapping
from dataclasses import field

from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError, GroupSourceNoUpcall

from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.nodeset import NodeSets
from clbalance.transport.group_sources import Problem
from clbalance.transport.groups import ConfiguredGroups

_MOST = 200  # each may be a program that is run
_HINT = "`nodeset -ll` shows what ClusterShell reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsSeen:
    """What is wrong in files of groups, groups that name no node, and why others cannot be used.

    Of the groups of the default source only the first 200 are looked at.
    """

    problems: tuple[Problem, ...] = ()
    empty: tuple[str, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)


def look_at_groups(resolver: ConfiguredGroups) -> GroupsSeen:
    """Nothing is raised; a source that cannot list its groups has none to look at."""
    problems = file_problems(resolver)
    empty: list[str] = []
    unusable: dict[str, str] = {}
    try:
        names = sorted(resolver.grouplist(None))[:_MOST]
    except (GroupSourceNoUpcall, SettingsError):
        names = []
    except (GroupResolverError, GroupSourceError) as error:
        names, unusable = [], {"*": str(error)}
    sets = NodeSets(resolver)
    told = {problem.message for problem in problems}
    for name in names:
        try:
            if not sets.group(name):
                empty.append(name)
        except (NodeNameError, SettingsError) as error:
            if error.message not in told:
                unusable[name] = error.message
    return GroupsSeen(problems=problems, empty=tuple(empty), unusable=unusable)


def file_problems(resolver: ConfiguredGroups) -> tuple[Problem, ...]:
    """What is wrong in files, as far as it shows without an upcall of the default source: each once, with a hint."""
    found = [*resolver.problems, *_wrong_groups(resolver)]
    return tuple(dict.fromkeys(Problem(message=problem.message, hint=problem.hint or _HINT) for problem in found))


def _wrong_groups(resolver: ConfiguredGroups) -> Iterator[Problem]:
    """Groups of YAML files that say what no node set is, or name each other in a ring."""
    sets = NodeSets(resolver)
    for source, group in resolver.static_groups():
        try:
            sets.checked(resolver.group_nodes(group, source), f"@{source}:{group}")
        except SettingsError as error:
            yield Problem(message=error.message, hint=error.hint)
        except NodeNameError as error:
            yield Problem(message=f"{resolver.named(source, group)}: {error.message}", hint=error.hint)
        except (GroupResolverError, GroupSourceError) as error:
            yield Problem(message=f"{resolver.named(source, group)}: {error}", hint=_HINT)
