"""`--prefer`: one more term for each preference, as good as its label's value is there."""

from clbalance.constraints import Preference
from clbalance.model import Request
from clbalance.policy.effective import Load
from clbalance.policy.scorer import Scorer


def preference_scorer(preference: Preference) -> Scorer:
    """Its term, which is weighed as the preference says."""

    def read(load: Load, _: Request) -> float:
        return 1.0 if load.answer.labels.get(preference.label) == preference.value else 0.0

    def told(load: Load, _: Request, __: float) -> str:
        value = load.answer.labels.get(preference.label)
        return f"no label {preference.label}" if value is None else f"{preference.label} is {value}"

    return Scorer(
        name=f"prefer {preference.label}={preference.value}",
        read=read,
        points=lambda matches: 100.0 * matches,
        told=told,
    )
