"""Each value of a playbook is shown with what has set it."""

from clbalance.playbook.document import read_document
from clbalance.playbook.origins import Origin, Value, values_of
from tests.playbook.build import WHOLE


def values(text: str, **typed: str) -> dict[str, Value]:
    return {one.name: one for one in values_of(read_document(text.encode(), "p.yml"), typed)}


def test_a_value_of_the_playbook_has_the_line_of_its_key() -> None:
    found = values(WHOLE)
    assert (found["canary.soak"].text, found["canary.soak"].origin, found["canary.soak"].line) == (
        "5m",
        Origin.PLAYBOOK,
        9,
    )
    assert (found["pool"].text, found["pool"].line) == ("@compute, login1", 4)


def test_what_the_playbook_does_not_say_has_its_default() -> None:
    found = values("steps: [{run: a}]\ndrain:\nhealth: {run: [b, 1]}")
    assert (found["drain.on_deadline"].text, found["drain.on_deadline"].origin) == ("fail", Origin.DEFAULT)
    assert (found["health.fails"].text, found["health.run"].text) == ("3", "b, 1")
    assert (found["canary"].text, found["order"].text, found["sudo"].text) == ("", "least", "false")


def test_a_variable_comes_from_the_playbook_or_from_the_command_line() -> None:
    found = values(WHOLE, package="other")
    assert (found["vars.package"].text, found["vars.package"].origin) == ("other", Origin.EXTRA_VARS)
    assert (found["vars.start"].text, found["vars.start"].origin) == ("1:30", Origin.PLAYBOOK)
