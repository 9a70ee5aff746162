"""The daily choice among policies: replays of the history within a budget of processor time (docs/design/auto.md).

All progress is kept as soon as it is made: this process may be killed, and the next one goes on.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, Measured, Memory, Snapshot
from clbalance.policy.backtest.choose import RULES, choose, undecided
from clbalance.policy.backtest.history import History, backtest
from clbalance.policy.backtest.values import FIELDS, Backtest, Choice, Subject
from clbalance.policy.backtest.written import PROGRESS, Progress, choice_of, progress_of, to_text
from clbalance.policy.placement.select import Rng
from clbalance.ports import Store

BUDGET_S: Final = 60.0
"""Of processor time a day."""
HISTORY_DAYS: Final = 180
"""Older jobs would count less than a sixtieth."""
_OTHER: Final[Mapping[Subject, Subject]] = {"queue": "placement", "placement": "queue"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceInputs:
    """What is to be chosen, and from what."""

    subjects: Sequence[Subject]
    fixed: Mapping[Subject, str]
    """The policies of the other subjects."""
    history_until: Callable[[datetime], History]
    rng: Callable[[], Rng]
    """The draws of one replay, the same for each."""
    cpu_s: Callable[[], float]
    """The processor time of this process."""
    budget_s: float = BUDGET_S


def choose_daily(store: Store, inputs: ChoiceInputs, now: datetime) -> list[Choice]:
    """Begin the choice of the day of `now`, or go on with it. The choices that were made; none if there are some."""
    kept = progress_of(store.choice(PROGRESS))
    of_today = kept is not None and kept.until.date() == now.date()
    progress = kept if kept is not None and of_today else Progress(until=now, days=HISTORY_DAYS)
    return [] if progress.is_over else _DailyChoice(store, inputs, progress).whole()


class _OverShareError(Exception):
    """A replay has taken more than its share of the budget."""


class _DailyChoice:
    def __init__(self, store: Store, inputs: ChoiceInputs, progress: Progress) -> None:
        self._store, self._inputs, self._progress = store, inputs, progress
        self._before: Mapping[Subject, Choice | None] = {one: choice_of(store.choice(one)) for one in FIELDS}

    def whole(self) -> list[Choice]:
        began_s = self._inputs.cpu_s()
        history = self._inputs.history_until(self._progress.until)
        digest = _digest(history, self._inputs.fixed)
        if digest != self._progress.digest:
            self._keep(digest=digest, done={})
        self._keep(spent_s=self._progress.spent_s + self._inputs.cpu_s() - began_s)
        choices = self._choices(history)
        self._keep(choices, is_over=True, done={})
        return choices

    def _choices(self, history: History) -> list[Choice]:
        """The choices on as many days of the history as the budget suffices for."""
        while self._progress.days >= RULES.least_days:
            try:
                return self._on(history.newest(self._progress.days))
            except _OverShareError:
                self._keep(days=min(self._progress.days, history.days) // 2, done={})
        why = f"the history is too long to be replayed in {self._inputs.budget_s:g} s of processor time"
        return [undecided(one, why, self._name_before(one), self._progress.until) for one in self._inputs.subjects]

    def _on(self, history: History) -> list[Choice]:
        in_use: dict[Subject, str] = {
            one: self._inputs.fixed.get(one) or self._name_before(one) or FIELDS[one].default for one in FIELDS
        }
        choices: list[Choice] = []
        for subject in self._inputs.subjects:
            other = in_use[_OTHER[subject]]
            tests = [self._backtest(history, subject, name, other) for name in FIELDS[subject].names]
            choice = choose(subject, tests, before=self._name_before(subject), at=self._progress.until)
            in_use[subject] = choice.policy
            choices.append(choice)
        return choices

    def _backtest(self, history: History, subject: Subject, name: str, other: str) -> Backtest:
        """One replay, if it was not done before. `_OverShareError` if it takes more than its share of what is left."""
        key, inputs = f"{subject}/{name}", self._inputs
        if (done := self._progress.done.get(key)) is not None:
            return done
        left = sum(len(FIELDS[one].names) for one in inputs.subjects) - len(self._progress.done)
        spent_s, began_s = self._progress.spent_s, inputs.cpu_s()
        share_s = max(0.0, inputs.budget_s - spent_s) / (left + 1)  # one is left for a process that goes on
        self._keep(spent_s=spent_s + share_s)  # also if this process is killed on the way

        def check(_: int) -> None:
            if inputs.cpu_s() - began_s >= share_s:
                raise _OverShareError

        try:
            check(0)
            found = backtest(history, subject, name, other=other, rng=inputs.rng(), heard=check)
        except _OverShareError:
            self._keep(spent_s=spent_s + inputs.cpu_s() - began_s)
            raise
        self._keep(spent_s=spent_s + inputs.cpu_s() - began_s, done={**self._progress.done, key: found})
        return found

    def _name_before(self, subject: Subject) -> str | None:
        choice = self._before[subject]
        return None if choice is None else choice.policy

    def _keep(self, choices: Sequence[Choice] = (), **changes: object) -> None:
        """Keep the progress as changed, and the choices with it, all at once."""
        self._progress = replace(self._progress, **changes)  # type: ignore[arg-type]  # named as its fields
        made: dict[str, str] = {one.subject: to_text(one) for one in choices}
        self._store.keep_choices({**made, PROGRESS: to_text(self._progress)})


def _digest(history: History, fixed: Mapping[Subject, str]) -> str:
    jobs = [(one.job, one.submit_s, one.duration_s, one.estimate_s) for one in history.trace.arrivals]
    nodes = _sizes(history.cluster) if isinstance(history.cluster, Snapshot) else [("", history.cluster.count, 0)]
    return hashlib.sha256(repr((jobs, nodes, sorted(fixed.items()))).encode()).hexdigest()


def _sizes(cluster: Snapshot) -> list[tuple[str, int, int]]:
    return [
        (answer.node, answer.reading.cpus.online, answer.reading.memory.total_bytes)
        for answer in sorted(cluster.answers, key=lambda one: one.node)
        if isinstance(answer, Measured)
        and isinstance(answer.reading.cpus, Cpus)
        and isinstance(answer.reading.memory, Memory)
    ]
