"""A playbook from its bytes: all that is wrong in it as one error, or the checked values."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec import UNSET

from clbalance.lazy_dataclass import dataclass
from clbalance.model.playbook import (
    Canary,
    CheckHealth,
    DrainNode,
    NodeOrder,
    Playbook,
    ResumeNode,
    Rollout,
    Step,
)
from clbalance.playbook.document import read_document
from clbalance.playbook.forms import CanaryForm, DrainForm, PlaybookForm, StepForm
from clbalance.playbook.names import Names, variables_of
from clbalance.playbook.problems import playbook_error
from clbalance.playbook.scalars import Scalars
from clbalance.playbook.shape import forms_of
from clbalance.playbook.steps import StepReader


def load_playbook(data: bytes, file: str, typed: Mapping[str, str] | None = None, *, name: str = "") -> Playbook:
    """The checked playbook. `PlaybookError`, a `UsageError`, with a line for each thing that is wrong.

    `file`: for messages. `typed`: variables of `-e`; None: nobody runs it now, so variables without a value may be
    missing. `name`: if the playbook does not say its own.
    """
    document = read_document(data, file)
    scalars = Scalars(document)
    whole, steps, rollback = forms_of(document, scalars.problems)
    names = Names.of([*steps, *rollback], *variables_of(document, typed, scalars.problems))
    if whole is None:  # tell of the steps, too
        StepReader(scalars, names).all_steps(steps, rollback)
        raise playbook_error(file, scalars.problems)
    playbook = _Reader(scalars, whole, names).playbook(steps, rollback, name or _stem(file), _hash(data))
    if scalars.problems:
        raise playbook_error(file, scalars.problems)
    return playbook


def _stem(file: str) -> str:
    return file.rpartition("/")[2].removesuffix(".yml").removesuffix(".yaml")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class _Reader:
    scalars: Scalars
    form: PlaybookForm
    names: Names

    def playbook(
        self, steps: Sequence[StepForm | None], rollback: Sequence[StepForm | None], name: str, text_hash: str
    ) -> Playbook:
        form, document = self.form, self.scalars.document
        reader = StepReader(self.scalars, self.names, user=form.user, sudo=form.sudo)
        drain = None if form.drain is UNSET else reader.drain(("drain",), form.drain or DrainForm())
        health = None if form.health is None else reader.health(("health",), form.health)
        main, back = reader.all_steps(steps, rollback)
        if form.user is not None:
            reader.check_user(("user",), form.user)
        if not steps and "steps" in document.values:
            self.scalars.refuse(("steps",), "it has no steps", "the shortest list is `[{run: uptime}]`")
        elif "steps" not in document.values:
            self.scalars.refuse((), "`steps` is missing", "the shortest playbook is `steps: [{run: uptime}]`")
        turn = self._turn(drain, main, health)
        return Playbook(
            name=form.name or name,
            description=form.description,
            file=document.file,
            text_hash=text_hash,
            hosts=_joined(form.hosts),
            pool=_joined(form.pool),
            variables=self.names.variables,
            missing=self.names.missing,
            rollout=self._rollout(turn),
            steps=turn,
            rollback=back,
        )

    def _turn(self, drain: DrainNode | None, steps: tuple[Step, ...], health: CheckHealth | None) -> tuple[Step, ...]:
        """The whole turn of a node: a drain before the steps, the check of its health and the resume after them."""
        places = self.scalars.document.keys
        before = () if drain is None else (_own_step("drain", drain, places.get(("drain",))),)
        after: tuple[Step, ...] = ()
        if health is not None:  # its program runs as those of the steps do
            step = _own_step("health", health, places.get(("health",)))
            after = (replace(step, user=self.form.user, sudo=self.form.sudo),)
        last = () if drain is None else (_own_step("resume", ResumeNode(), places.get(("drain",))),)
        return (*before, *steps, *after, *last)

    def _rollout(self, steps: tuple[Step, ...]) -> Rollout:
        form, scalars = self.form, self.scalars
        serial = () if form.serial is None else form.serial if isinstance(form.serial, list) else (form.serial,)
        if form.window is not None and serial:
            scalars.refuse(("serial",), "`window` and `serial` cannot both be given", "keep one of them", at_key=True)
        has_drain = any(isinstance(step.action, DrainNode) for step in steps)
        if form.min_available is not None and not has_drain:
            hint = "add `drain: {}`: marks on the nodes are how plays and drains know of each other"
            scalars.refuse(("min_available",), "`min_available` needs nodes that are drained", hint, at_key=True)
        in_list = isinstance(form.serial, list)
        return Rollout(
            order=NodeOrder(form.order),
            window=scalars.optional_share(("window",), form.window),
            serial=tuple(
                scalars.share(("serial", at) if in_list else ("serial",), one) for at, one in enumerate(serial)
            ),
            canary=None if form.canary is None else self._canary(form.canary),
            max_fail_percentage=form.max_fail_percentage,
            min_available=scalars.optional_share(("min_available",), form.min_available, least=0),
            stop_after=scalars.optional_share(("stop_after",), form.stop_after),
        )

    def _canary(self, form: CanaryForm) -> Canary:
        return Canary(
            nodes=self.scalars.share(("canary", "nodes"), form.nodes),
            soak_s=self.scalars.duration(("canary", "soak"), form.soak, least=0.0),
            pause=form.pause,
        )


def _own_step(path: str, action: DrainNode | CheckHealth | ResumeNode, place: tuple[int, int] | None) -> Step:
    """A step that a key of the whole playbook stands for."""
    return Step(name=path, path=path, line=place[0] if place else 0, action=action)


def _joined(nodes: str | list[str]) -> str:
    return nodes if isinstance(nodes, str) else ",".join(nodes)
