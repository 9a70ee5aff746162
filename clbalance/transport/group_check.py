"""Checks group files, sources and groups before they are needed."""

from collections.abc import Iterator, Mapping
from dataclasses import field

from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError, GroupSourceNoUpcall

from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.nodeset import NodeSets
from clbalance.transport.group_sources import Problem
from clbalance.transport.groups import ConfiguredGroups

_MOST = 200  # each group may run a command
_HINT = "`nodeset -ll` shows what ClusterShell reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsSeen:
    """Problems of group files, groups without nodes, and why other groups cannot be used.

    Only the first 200 groups of the default source are checked.
    """

    problems: tuple[Problem, ...] = ()
    empty: tuple[str, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)


def look_at_groups(resolver: ConfiguredGroups) -> GroupsSeen:
    """Check all groups; raises nothing. Groups of a source that cannot list them are not checked."""
    problems = file_problems(resolver)
    empty: list[str] = []
    unusable: dict[str, str] = {}
    told = {problem.message for problem in problems}
    try:
        names = sorted(resolver.grouplist(None))[:_MOST]
    except GroupSourceNoUpcall:
        names = []
    except SettingsError as error:
        names, unusable = [], {} if error.message in told else {"*": error.message}
    except (GroupResolverError, GroupSourceError) as error:
        names, unusable = [], {"*": str(error)}
    sets = NodeSets(resolver)
    for name in names:
        try:
            if not sets.group(name):
                empty.append(name)
        except (NodeNameError, SettingsError) as error:
            if error.message not in told:
                unusable[name] = error.message
    return GroupsSeen(problems=problems, empty=tuple(empty), unusable=unusable)


def file_problems(resolver: ConfiguredGroups) -> tuple[Problem, ...]:
    """The problems that show without an upcall of the default source, each once, with a hint."""
    found = [*resolver.problems, *_wrong_groups(resolver)]
    return tuple(dict.fromkeys(Problem(message=problem.message, hint=problem.hint or _HINT) for problem in found))


def _wrong_groups(resolver: ConfiguredGroups) -> Iterator[Problem]:
    """Problems of groups in YAML files that are no node set or contain themselves."""
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
