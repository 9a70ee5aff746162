"""The classes of group sources: commands, YAML files, results of jobs, and sources that cannot be used."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from string import Template
from types import MappingProxyType

from ClusterShell.NodeUtils import GroupSource, GroupSourceNoUpcall, GroupSourceQueryFailed, UpcallGroupSource

from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.transport.programs.upcall import UpcallLimitError, run_upcall

_MOST_SAID = 200  # characters of an upcall, and of its complaints
# Put in place of `$GROUP`, unquoted, into a shell command: one word, no option, no `..`.
_IN_A_COMMAND = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")
_NAMES = frozenset({"GROUP", "NODE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a file, source or group cannot be used, with file and line; and a hint."""

    message: str
    hint: str

    @property
    def error(self) -> SettingsError:
        """The problem as an exception."""
        return SettingsError(self.message, hint=self.hint)


class UnusableGroups(GroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """A source that cannot be used. Every look-up raises its problem."""

    def __init__(self, name: str, problem: Problem) -> None:
        super().__init__(name)
        self.problem = problem

    def resolv_map(self, group: str) -> str:
        raise self.problem.error

    def resolv_list(self) -> list[str]:
        raise self.problem.error

    def resolv_all(self) -> str:
        raise self.problem.error


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlGroup:
    """One group: its node sets, as one text or several, or its problem; `place`: file and line."""

    nodes: str | tuple[str, ...] = ""
    problem: Problem | None = None
    place: str


class YamlGroups(GroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """A source in a YAML file. Looking up a group that cannot be used raises its problem."""

    def __init__(self, name: str, groups: Mapping[str, YamlGroup], nameless: tuple[Problem, ...] = ()) -> None:
        """`nameless`: problems of groups whose names cannot be looked up."""
        super().__init__(name)
        self._groups = groups
        self._nameless = nameless

    def resolv_map(self, group: str) -> str | list[str]:
        found = self._groups.get(group)
        if found is None:
            return ""  # as in ClusterShell
        if found.problem is not None:
            raise found.problem.error
        return found.nodes if isinstance(found.nodes, str) else list(found.nodes)

    def resolv_list(self) -> list[str]:
        return list(self._groups)

    def resolv_all(self) -> str | list[str]:
        if "all" not in self._groups:
            raise GroupSourceNoUpcall("all", self)
        return self.resolv_map("all")

    def place(self, group: str) -> str:
        """File and line of a group; empty if it is unknown."""
        return self._groups[group].place if group in self._groups else ""

    def problems(self) -> Iterator[Problem]:
        """The problems of its groups."""
        yield from self._nameless
        for group in self._groups.values():
            if group.problem is not None:
                yield group.problem


class NamedGroups(GroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """Groups that a function returns. It is called at the first look-up, and may raise a `SettingsError`."""

    def __init__(self, name: str, read: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(name)
        self._read = cache(read)

    def resolv_map(self, group: str) -> str:
        return self._read().get(group, "")

    def resolv_list(self) -> list[str]:
        return sorted(self._read())

    def resolv_all(self) -> str:
        return ",".join(self._read().values())


class ResultGroups(NamedGroups):
    """Results of jobs, as clbalance has recorded them."""

    def resolv_list(self) -> list[str]:
        """For each recorded job or run, a group of each of its kinds; groups that are not recorded are empty."""
        numbered = {name.rpartition("-")[::2] for name in self._read() if name.rpartition("-")[2].isdigit()}
        kinds = {name for name in self._read() if not name.rpartition("-")[2].isdigit()}
        return sorted(
            kinds | {f"{kind}-{number}" for kind in kinds for other, number in numbered if _same_work(kind, other)}
        )

    def resolv_all(self) -> str:
        raise GroupSourceNoUpcall("all", self)


def _same_work(kind: str, other: str) -> bool:
    """Whether both are kinds of runs of playbooks (`play-ok`), or both of jobs: each have numbers of their own."""
    return kind.startswith("play-") == other.startswith("play-")


class Upcalls(UpcallGroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """A source of commands. Their stderr goes into the error message, not to the terminal.

    After a command that did not keep its limits, no other one of the source is run; nor after `all_within_s` of them.
    """

    all_within_s = 60.0
    _spent_s = 0.0
    _broken: SettingsError | None = None

    @property
    def runs_map(self) -> bool:
        """Whether looking up a group runs a command with the group's name in it."""
        return "map" in self.upcalls

    def _upcall_read(self, cmdtpl: str, args: Mapping[str, str] = MappingProxyType({})) -> str:
        if self._broken is not None:
            raise self._broken
        for what in _NAMES.intersection(args):
            if not _IN_A_COMMAND.fullmatch(args[what]):
                raise NodeNameError(
                    f"`{args[what][:80]}` cannot be looked up in group source `{self.name}`: its `{cmdtpl}` is a shell"
                    f" command, and gets names of letters, digits and `_ . : -` only",
                    hint="name its nodes; or have the source's file say all groups at once, by `mapall` or as YAML",
                )
        command = Template(self.upcalls[cmdtpl]).safe_substitute(args)
        began = time.monotonic()
        try:
            if self._spent_s > self.all_within_s:
                raise UpcallLimitError(f"is not run: the commands before it took {self._spent_s:.0f} s in all")
            done = run_upcall(command, self.cfgdir)  # `$GROUP` has been checked
        except UpcallLimitError as error:
            self._broken = SettingsError(
                f"group source `{self.name}` cannot be used: {_told(cmdtpl, command, str(error))}",
                hint="run the command by hand; one that takes long can write a file that the upcall prints, or name "
                "nodes instead of groups (`-w node[1-4]`)",
            )
            raise self._broken from error
        except (OSError, ValueError) as error:  # no such folder; a command with a NUL in it
            raise self._failed(cmdtpl, command, f"cannot be run: {error}") from error
        finally:
            self._spent_s += time.monotonic() - began
        if done.rc:
            said = " ".join(done.stderr.split())[:_MOST_SAID]
            how = f"ended with {done.rc}" + (f": {said}" if said else "")
            raise self._failed(cmdtpl, command, how)
        return done.stdout.strip()

    def _failed(self, what: str, command: str, how: str) -> GroupSourceQueryFailed:
        return GroupSourceQueryFailed(_told(what, command, how), self)


def _told(what: str, command: str, how: str) -> str:
    shown = command if len(command) <= _MOST_SAID else f"{command[:_MOST_SAID]}..."
    return f"its `{what}`, `{shown}`, {how}"
