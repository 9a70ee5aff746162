"""How all that is wrong in a playbook is shown."""

from clbalance.playbook.problems import Problem, playbook_error
from clbalance.render import messages


def test_each_problem_has_a_line_of_its_own_and_no_text_of_the_file_adds_one() -> None:
    problems = [
        Problem(message="there is no key `a\nb` here", path=("a\nb",), line=1, column=1),
        Problem(message="cannot be `\x1b[2J`", hint="try `x`", path=("steps", 0, "x"), line=2, column=5),
    ]
    assert messages.error(playbook_error("p.yml", problems)).splitlines() == [
        "clbalance: p.yml:1:1: a\\nb: there is no key `a\\nb` here",
        "clbalance: p.yml:2:5: steps[0].x: cannot be `\\x1b[2J` (try `x`)",
    ]
