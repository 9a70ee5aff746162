"""The action of each step: from its checked form to its value."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from clbalance.model.playbook import (
    Action,
    Argv,
    Assert,
    CheckHealth,
    CopyFiles,
    DrainNode,
    FetchFiles,
    Notify,
    OnDeadline,
    Pause,
    Program,
    Rebalance,
    Reboot,
    ResumeNode,
    RunProgram,
    ShellText,
    Variable,
    WaitFor,
)
from clbalance.playbook.forms import (
    AssertForm,
    CopyForm,
    DrainForm,
    FetchForm,
    HealthForm,
    NotifyForm,
    PauseForm,
    RebootForm,
    ResumeForm,
    RunForm,
    WaitForForm,
)
from clbalance.playbook.names import NAME, TEMPLATE, WHOLE_VARIABLE, Names
from clbalance.playbook.paths import BadPath, filled_path
from clbalance.playbook.problems import Path, near
from clbalance.playbook.scalars import Scalars

GivenProgram: TypeAlias = str | bool | list[str | int | float | bool]

_LONGEST_TEXT = 256 << 10


class ActionReader:
    """Reads the actions of one document."""

    def __init__(self, scalars: Scalars, names: Names) -> None:
        self.scalars = scalars
        self.names = names

    def action(self, path: Path, action: str, form: Any) -> Action:  # noqa: C901, PLR0911 - one case for each action
        """The value of the form that stands under `action`."""
        below = (*path, action)
        match action, form:
            case "run", _:
                return self._run(below, form)
            case "copy", CopyForm():
                return self._copy(below, form)
            case "fetch", FetchForm():
                return FetchFiles(sources=self._sources(below, form.src), folder=form.dest)
            case "drain", _:
                return self.drain(below, form or DrainForm())
            case "resume", _:
                return ResumeNode(earlier_runs=isinstance(form, ResumeForm) and form.earlier_runs)
            case "wait_for", WaitForForm():
                return self._wait_for(below, form)
            case "reboot", _:
                return self._reboot(below, form or RebootForm())
            case "rebalance", _:
                return Rebalance()
            case "pause", _:
                return self._pause(below, form)
            case "assert", _:
                return self._assert(below, form)
            case "notify", NotifyForm():
                return self._notify(below, form)
            case _:
                raise AssertionError(action)

    def health(self, path: Path, form: HealthForm) -> CheckHealth:
        """The check of `health:`."""
        return CheckHealth(
            program=self.program((*path, "run"), form.run),
            passes=form.passes,
            fails=form.fails,
            every_s=self.scalars.duration((*path, "every"), form.every),
            within_s=self.scalars.duration((*path, "within"), form.within),
        )

    def program(self, path: Path, given: GivenProgram) -> Program:
        """Shell text, or a program with its arguments."""
        if isinstance(given, bool):
            given = str(given).lower()
        if isinstance(given, str):
            if found := TEMPLATE.search(given):
                self._refuse_template(path, found[0])
            if not given.strip():
                self.scalars.refuse(path, "there is nothing to run", "such as `uptime`")
            elif len(given) > _LONGEST_TEXT:
                self.scalars.refuse(
                    path, f"it has more than {_LONGEST_TEXT:,} characters", "copy a script, and run that"
                )
            return ShellText(text=given)
        if not given:
            self.scalars.refuse(path, "there is no program", "such as `[systemctl, restart, nginx]`")
        return Argv(words=tuple(self._argument((*path, at), word) for at, word in enumerate(given)))

    def _argument(self, path: Path, given: str | float) -> str | Variable:
        text = self.scalars.document.raw.get(path, str(given))
        if found := WHOLE_VARIABLE.fullmatch(text):
            if found[1] not in self.names.variables:
                hint = near(found[1], list(self.names.variables), "variables")
                self.scalars.refuse(path, f"the variable `{found[1]}` is not set", hint)
            return Variable(name=found[1])
        if found := TEMPLATE.search(text):
            self._refuse_template(path, found[0])
        return text

    def _refuse_template(self, path: Path, text: str) -> None:
        name = text.strip("{} ").removeprefix("vars.")
        use = f'"$VAR_{name}"' if NAME.fullmatch(name) else '"$VAR_NAME"'
        hint = f"in shell text write `{use}`; `{{{{ vars.NAME }}}}` may only be a whole argument of a list"
        self.scalars.refuse(path, f"`{text[:60]}` is not possible here", hint)

    def _run(self, path: Path, form: GivenProgram | RunForm) -> RunProgram:
        if not isinstance(form, RunForm):
            return RunProgram(program=self.program(path, form))
        return RunProgram(
            program=self.program((*path, "command"), form.command),
            env=self._env((*path, "env"), form.env),
            chdir=form.chdir,
            ok_codes=frozenset(form.ok_codes),
            output=form.output,
        )

    def _env(self, path: Path, given: Mapping[str, object]) -> dict[str, str]:
        env = {}
        for name in given:
            if not NAME.fullmatch(name):
                self.scalars.refuse((*path, name), f"`{name[:60]}` is no name of a variable", at_key=True)
            env[name] = self.scalars.document.raw.get((*path, name), "")
        return env

    def _sources(self, path: Path, given: str | list[str]) -> tuple[str, ...]:
        sources = (given,) if isinstance(given, str) else tuple(given)
        if not sources:
            self.scalars.refuse((*path, "src"), "there is no file to copy", "`src: FILE`, or a list of files")
        return sources

    def with_values(self, path: Path, action: Action) -> Action:
        """The action with the values of the variables in its paths."""
        match action:
            case CopyFiles(sources=sources, destination=destination):
                filled = tuple(self._filled((*path, "src"), one) for one in sources)
                return replace(action, sources=filled, destination=self._filled((*path, "dest"), destination))
            case RunProgram(output=str(output)):
                return replace(action, output=self._filled((*path, "output"), output))
            case FetchFiles(sources=sources, folder=folder):
                filled = tuple(self._filled((*path, "src"), one) for one in sources)
                return replace(action, sources=filled, folder=self._filled((*path, "dest"), folder))
            case _:
                return action

    def _filled(self, path: Path, given: str) -> str:
        unfilled = {name: f"{{{{ vars.{name} }}}}" for name in self.names.missing}
        found = filled_path(given, {**self.names.variables, **unfilled})
        if isinstance(found, BadPath):
            self.scalars.refuse(path, found.message, found.hint)
            return given
        return found

    def _copy(self, path: Path, form: CopyForm) -> CopyFiles:
        return CopyFiles(
            sources=self._sources(path, form.src),
            destination=form.dest,
            sync=form.sync,
            mode=self.scalars.mode((*path, "mode"), form.mode),
            checksum=form.checksum,
            into_shared_folder=form.into_shared_folder,
        )

    def drain(self, path: Path, form: DrainForm) -> DrainNode:
        """The drain of a step, or of the whole playbook."""
        return DrainNode(
            deadline_s=self.scalars.optional_duration((*path, "deadline"), form.deadline),
            on_deadline=OnDeadline(form.on_deadline),
            reason=form.reason,
        )

    def _wait_for(self, path: Path, form: WaitForForm) -> WaitFor:
        if form.port is None and form.run is None and form.where is None and not form.no_jobs:
            self.scalars.refuse(path, "it waits for nothing", "give `port`, `run`, `where` or `no_jobs: true`")
        return WaitFor(
            within_s=self.scalars.duration((*path, "within"), form.within),
            every_s=self.scalars.duration((*path, "every"), form.every),
            port=form.port,
            program=None if form.run is None else self.program((*path, "run"), form.run),
            where=self.scalars.condition((*path, "where"), form.where, self.names.facts),
            no_jobs=form.no_jobs,
        )

    def _reboot(self, path: Path, form: RebootForm) -> Reboot:
        return Reboot(
            within_s=self.scalars.duration((*path, "within"), form.within),
            program=self.program((*path, "run"), form.run),
            even_with_jobs=form.even_with_jobs,
        )

    def _pause(self, path: Path, form: str | float | PauseForm) -> Pause:
        if not isinstance(form, PauseForm):
            return Pause(seconds=self.scalars.duration(path, form))
        if (form.seconds is None) is not bool(form.ask):
            self.scalars.refuse(path, "it needs `for` or `ask`, one of them", 'such as `5m`, or `{ask: "Go on?"}`')
        return Pause(seconds=self.scalars.optional_duration((*path, "for"), form.seconds), ask=form.ask)

    def _assert(self, path: Path, form: str | bool | AssertForm) -> Assert:
        if not isinstance(form, AssertForm):
            return Assert(that=self.scalars.condition(path, form, self.names.facts) or "")
        that = self.scalars.condition((*path, "that"), form.that, self.names.facts)
        return Assert(that=that or "", message=form.message)

    def _notify(self, path: Path, form: NotifyForm) -> Notify:
        if (form.run is None) is (form.url is None):
            self.scalars.refuse(path, "it needs `run` or `url`, one of them", "`url: https://…`, or `run: [mail, …]`")
        if form.url is not None and not form.url.startswith(("https://", "http://")):
            self.scalars.refuse((*path, "url"), f"`{form.url[:60]}` is no address", "it begins with `https://`")
        return Notify(
            program=None if form.run is None else self.program((*path, "run"), form.run),
            url=form.url,
            message=form.message,
            within_s=self.scalars.duration((*path, "within"), form.within),
        )
