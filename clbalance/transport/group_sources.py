"""The kinds of group sources: commands, groups of a YAML file, what became of jobs, and what cannot be used."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from string import Template
from types import MappingProxyType

from ClusterShell.NodeUtils import GroupSource, GroupSourceNoUpcall, GroupSourceQueryFailed, UpcallGroupSource

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass

_MOST_SAID = 200  # characters of an upcall, and of its complaints


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a file, a source or a group cannot be used, with its place; and what to type."""

    message: str
    hint: str

    @property
    def error(self) -> SettingsError:
        """The same, to raise for whoever asks for it."""
        return SettingsError(self.message, hint=self.hint)


class UnusableGroups(GroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """A source that is known by name alone; every question is answered with the problem."""

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
    """One group: node sets, as one text or as a list of texts, or why there are none; and where it is written."""

    nodes: str | tuple[str, ...] = ""
    problem: Problem | None = None
    place: str


class YamlGroups(GroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """A source of a YAML file. A group that cannot be used is known, and fails those who ask for it."""

    def __init__(self, name: str, groups: Mapping[str, YamlGroup], nameless: tuple[Problem, ...] = ()) -> None:
        """`nameless`: what is wrong with groups that nobody can ask for."""
        super().__init__(name)
        self._groups = groups
        self._nameless = nameless

    def resolv_map(self, group: str) -> str | list[str]:
        found = self._groups.get(group)
        if found is None:
            return ""  # as ClusterShell has it
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
        """File and line of a group, or nothing."""
        return self._groups[group].place if group in self._groups else ""

    def problems(self) -> Iterator[Problem]:
        """Of its groups."""
        yield from self._nameless
        for group in self._groups.values():
            if group.problem is not None:
                yield group.problem


class ResultGroups(GroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """What became of jobs, as clbalance has written it down; read when it is first asked for."""

    def __init__(self, name: str, read: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(name)
        self._read = cache(read)

    def resolv_map(self, group: str) -> str:
        return self._read().get(group, "")

    def resolv_list(self) -> list[str]:
        """Of each job that is known, every set: those that are not written down are empty."""
        kinds = {name for name in self._read() if "-" not in name}
        jobs = {name.rpartition("-")[2] for name in self._read() if "-" in name}
        return sorted(kinds | {f"{kind}-{job}" for kind in kinds for job in jobs})

    def resolv_all(self) -> str:
        raise GroupSourceNoUpcall("all", self)


class Upcalls(UpcallGroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """Commands, whose complaints belong to the error, and not on the terminal."""

    def _upcall_read(self, cmdtpl: str, args: Mapping[str, str] = MappingProxyType({})) -> str:
        command = Template(self.upcalls[cmdtpl]).safe_substitute(args)
        try:
            done = subprocess.run(  # noqa: S602 - an upcall is a shell command, and `$GROUP` has been checked
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                shell=True,
                cwd=self.cfgdir,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except (OSError, ValueError) as error:  # no such folder; a command with a NUL in it
            raise self._failed(cmdtpl, command, f"cannot be run: {error}") from error
        if done.returncode:
            said = " ".join(done.stderr.split())[:_MOST_SAID]
            how = f"ended with {done.returncode}" + (f": {said}" if said else "")
            raise self._failed(cmdtpl, command, how)
        return done.stdout.strip()

    def _failed(self, what: str, command: str, how: str) -> GroupSourceQueryFailed:
        shown = command if len(command) <= _MOST_SAID else f"{command[:_MOST_SAID]}..."
        return GroupSourceQueryFailed(f"its `{what}`, `{shown}`, {how}", self)
