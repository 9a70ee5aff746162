"""The steps of a playbook: from checked forms to values, with the checks that a form cannot express."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from clbalance.errors import NodeNameError
from clbalance.model.playbook import Action, DrainNode, ResumeNode, Step
from clbalance.nodeset import check_user_name
from clbalance.playbook.actions import ActionReader
from clbalance.playbook.conditions import compile_condition, is_ruled_out
from clbalance.playbook.forms import ACTIONS, StepForm
from clbalance.playbook.names import NAME, RESERVED, Names
from clbalance.playbook.problems import Path
from clbalance.playbook.scalars import Scalars


class StepReader(ActionReader):
    """Reads the steps of one document. `user` and `sudo`: for steps that do not say."""

    def __init__(self, scalars: Scalars, names: Names, *, user: str | None = None, sudo: bool = False) -> None:
        super().__init__(scalars, names)
        self._user = user
        self._sudo = sudo
        self._used: set[str] = set()

    def all_steps(
        self, steps: Sequence[StepForm | None], rollback: Sequence[StepForm | None]
    ) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The steps of both lists."""
        return self._steps("steps", steps), self._steps("rollback", rollback)

    def check_user(self, path: Path, user: str) -> None:
        """Refuse what is no user name."""
        try:
            check_user_name(user)
        except NodeNameError as error:
            self.scalars.refuse(path, error.message, error.hint)

    def _steps(self, key: str, forms: Sequence[StepForm | None]) -> tuple[Step, ...]:
        """The steps of a list. Those with a wrong shape have been told already, and are left out."""
        read = [self._step((key, at), form) for at, form in enumerate(forms) if form is not None]
        return tuple(step for step in read if step is not None)

    def _step(self, path: Path, form: StepForm) -> Step | None:
        scalars = self.scalars
        named = {action: value for action in ACTIONS if (value := _action_of(form, action)) is not UNSET}
        if len(named) != 1:
            said = f"has {len(named)} actions: {', '.join(named)}" if named else "has no action"
            scalars.refuse(path, f"it {said}", f"exactly one of: {' '.join(ACTIONS)}")
            return None
        ((action, value),) = named.items()
        when = scalars.condition((*path, "when"), form.when, self.names.facts)
        ruled_out = self._is_ruled_out(when)
        logs_in = form.delegate_to is None  # `user` and `sudo` of the playbook are those of nodes
        done = self.action(path, action, value)
        if not ruled_out:
            done = self.with_values((*path, action), done)
        self._check(path, form, action, done)
        if form.until is not None and not form.retries:
            scalars.refuse((*path, "until"), "`until` needs `retries`", "such as `retries: 10`", at_key=True)
        return Step(
            name=self._name(path, form, action),
            path=f"{path[0]}[{path[1]}]",
            line=scalars.document.places[path][0],
            action=done,
            when=when,
            is_ruled_out=ruled_out,
            until=scalars.condition((*path, "until"), form.until, self.names.facts),
            retries=form.retries,
            delay_s=scalars.duration((*path, "delay"), form.delay, least=0.0),
            register=form.register,
            run_once=form.run_once or action == "rebalance",
            throttle=form.throttle,
            idempotent=form.idempotent,
            ignore_errors=form.ignore_errors,
            timeout_s=scalars.optional_duration((*path, "timeout"), form.timeout),
            user=(form.user or self._user) if logs_in and action in _APPLY["user"] else None,
            sudo=logs_in and action in _APPLY["sudo"] and (self._sudo if form.sudo is None else form.sudo),
            on_this_host=not logs_in,
            runs_in_check=not form.check_mode,
        )

    def _is_ruled_out(self, when: str | None) -> bool:
        """Whether the step cannot be reached with these variables. Then their values in its paths are not judged."""
        if when is None:
            return False
        return is_ruled_out(compile_condition(when, self.names.facts, "when"), self.names.variables)

    def _name(self, path: Path, form: StepForm, action: str) -> str:
        name = f"{action} {int(path[1]) + 1}" if form.name is None else form.name.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            hint = f"up to {_LONGEST_NAME} characters on one line"
            self.scalars.refuse((*path, "name"), "this is no name for a step", hint)
        elif (key := f"{path[0]}:{name}") in self._used:
            self.scalars.refuse((*path, "name"), f"there are two steps with the name `{name}`", "rename one of them")
        else:
            self._used.add(key)
        return name

    def _check(self, path: Path, form: StepForm, action: str, done: Action) -> None:
        scalars = self.scalars
        if form.register is not None and (not NAME.fullmatch(form.register) or form.register in RESERVED):
            scalars.refuse((*path, "register"), f"`{form.register[:60]}` is no name for a result", "such as `kernel`")
        for name in {form.register, f"{form.register}_rc"} & self.names.variables.keys():
            scalars.refuse((*path, "register"), f"`{name}` is a variable already", f"`$VAR_{name}` would be both")
        if form.register is not None and action not in _WITH_RESULT:
            hint = f"only of: {' '.join(sorted(_WITH_RESULT))}"
            scalars.refuse((*path, "register"), f"`{action}` has no result to register", hint, at_key=True)
        if form.user is not None:
            self.check_user((*path, "user"), form.user)
        if path[0] == "rollback" and isinstance(done, DrainNode | ResumeNode):
            hint = "a node whose turn has failed stays drained, so that somebody looks at it"
            scalars.refuse(path, f"`{action}` is not possible in `rollback`", hint)
        for key, actions in _APPLY.items():
            is_given = not form.check_mode if key == "check_mode" else getattr(form, key) is not None
            if is_given and action not in actions:
                self.scalars.refuse((*path, key), f"`{key}` has no effect on `{action}`", "remove it", at_key=True)
        for key in ("user", "sudo"):
            if form.delegate_to is not None and getattr(form, key):
                self.scalars.refuse((*path, key), "on this host it runs as who calls `play`", "remove it", at_key=True)


_LONGEST_NAME = 80
_WITH_RESULT = frozenset({"run", "wait_for", "reboot", "copy", "fetch", "rebalance"})
_PROGRAMS = frozenset({"run", "wait_for", "reboot"})
"""Actions with a program on the node."""
_LOGS_IN = _PROGRAMS | {"copy", "fetch"}
_APPLY = {
    "sudo": _PROGRAMS,
    "timeout": _LOGS_IN,
    "user": _LOGS_IN,
    "delegate_to": frozenset({"run"}),
    "check_mode": frozenset({"run"}),
}
"""The actions to which a key of a step applies, where it does not apply to all."""


def _action_of(form: StepForm, action: str) -> Any:
    return getattr(form, "assert_" if action == "assert" else action)
