"""Jobs of the library, as they are given to the journal."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.library.context import ProgramContext
from clbalance.model.job import Command, JobSpec, RestartPolicy, Submitted, TaskRules
from clbalance.model.task import Task
from clbalance.policy.jobs.names import default_name, why_no_name
from clbalance.random_hex import random_hex
from clbalance.units import parse_duration
from clbalance.wiring.folders import working_directory

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USUAL_UMASK = 0o022
_LONGEST = 131_072  # bytes: MAX_ARG_STRLEN of Linux, with the NUL at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where and how commands run; checked when it is made."""

    name: str
    env: Mapping[str, str]
    cwd: str
    is_cwd_given: bool
    time_limit_s: float | None

    @classmethod
    def of(
        cls,
        *,
        name: str | None,
        default: str,
        env: Mapping[str, str] | None,
        cwd: str | os.PathLike[str] | None,
        time_limit: float | str | None,
    ) -> "Surroundings":
        """From the arguments of the library. `default`: the name if none is given. `UsageError` for bad values."""
        folder = working_directory()
        return cls(
            name=default_name(default) if name is None else _checked_name(name),
            env=_checked_env(env or {}),
            cwd=str(folder if cwd is None else folder / Path(cwd)),
            is_cwd_given=cwd is not None,
            time_limit_s=None if time_limit is None else parse_duration(str(time_limit), "`time_limit`"),
        )


def words_of(command: str | Sequence[str]) -> tuple[str, ...]:
    """The words to execute: a text is given to /bin/sh. `UsageError` for what cannot be executed."""
    words = ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command)
    if not words or {type(word) for word in words} != {str}:
        raise UsageError(f"{command!r:.80} is no command", hint='a text for a shell, or words: ["gzip", "-k", path]')
    return checked_words(words)


def checked_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """These words; `UsageError` if the kernel takes no such arguments."""
    for word in words:
        if "\0" in word:
            raise UsageError(f"{word[:40]!r} holds a NUL, which no argument of a program can")
        try:
            size = len(os.fsencode(word))
        except UnicodeEncodeError:
            raise UsageError(f"{word[:40]!r} has a character that no program can be given") from None
        if size >= _LONGEST:
            raise UsageError(f"an argument has {len(word)} characters: {word[:40]!r}…", hint="put it into a file")
    return words


def new_job(context: ProgramContext, surroundings: Surroundings, argv: Sequence[str]) -> JobSpec:
    """A job that has no number yet."""
    return JobSpec(
        id=0,
        key=random_hex(),
        name=surroundings.name,
        payload=Command(argv=tuple(argv)),
        chdir=surroundings.cwd,
        chdir_explicit=surroundings.is_cwd_given,
        umask=_umask(),
        env=surroundings.env,
        time_limit_s=surroundings.time_limit_s,
        submit_host=socket.gethostname(),
        submit_dir=str(working_directory()),
        user=None if context.is_here else context.settings.ssh.user,
    )


def submit(
    services: Services,
    context: ProgramContext,
    job: JobSpec,
    query: PlacementQuery,
    policy: RestartPolicy,
    *,
    rules: TaskRules | None = None,
    tasks: tuple[Task, ...] = (),
) -> JobSpec:
    """Record a job in the journal; it has its number then. `rules` and `tasks`: of a job of tasks."""
    job = replace(job, slots=rules is not None)
    whole = Submitted(
        job=job,
        request=query.request,
        candidates=query.candidates,
        restart_policy=policy,
        rules=rules,
        group=context.group,
        policy=context.policy_given,
    )
    return replace(job, id=services.journal.submit(services.clock.now(), whole, tasks))


def _checked_name(name: str) -> str:
    if not name or not name.isprintable() or len(name) > 128 or why_no_name(name):
        why = why_no_name(name) if name and name.isprintable() else ""
        raise UsageError(f"{name[:40]!r} cannot be a job's name{': ' * bool(why)}{why}", hint="such as `tuning`")
    return name


def _checked_env(env: Mapping[str, Any]) -> dict[str, str]:
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"`env`: {name!r} is not the name of a variable", hint="letters, digits and `_`")
        if not isinstance(value, str) or "\0" in value:
            raise UsageError(f"`env`: {name} cannot be {value!r:.40}", hint="a text without NUL")
    return dict(env)


def _umask() -> int:
    """That of this process, read without changing it: other threads may be making files."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return _USUAL_UMASK
    return next((int(line.split()[1], 8) for line in lines if line.startswith("Umask:")), _USUAL_UMASK)
