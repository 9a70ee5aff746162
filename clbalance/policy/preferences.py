"""`--prefer`: one more term for each preference, as good as its label's value is there."""

from clbalance.constraints import Preference
from clbalance.model import Request
from clbalance.policy.effective import Load
from clbalance.policy.scorers import Scorer


def preference_scorers(request: Request) -> tuple[Scorer, ...]:
    """In the order in which they were typed."""
    return tuple(map(_scorer, request.constraints.preferences))


def _scorer(preference: Preference) -> Scorer:
    def read(load: Load, _: Request) -> float:
        return 1.0 if load.answer.labels.get(preference.label) == preference.value else 0.0

    def told(load: Load, _: Request, __: float) -> str:
        value = load.answer.labels.get(preference.label)
        return f"no label {preference.label}" if value is None else f"{preference.label} is {value}"

    return Scorer(
        name=f"prefer {preference.label}={preference.value}",
        weight=lambda _: preference.weight,
        read=read,
        points=lambda matches: 100.0 * matches,
        told=told,
    )
