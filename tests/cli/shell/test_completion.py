"""What the Tab key offers in the shell, beyond what it offers to a login shell."""

import pytest

from clbalance.cli.shell.completion import candidates_for


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("use @id", ["@idle"]),
        ("use node1 @dr", ["@drained"]),
        ("+@gpu&@b", ["@gpu&@busy", "@gpu&@best:"]),
        ("@fa", ["@failed"]),
        ("load -w node1,@un", ["node1,@unreachable"]),
        ("load --nodes=@su", ["--nodes=@suspect"]),
        ("load -w node", []),
        ("echo @id", []),
        ("cancel @id", []),
        ("us", ["use"]),
    ],
)
def test_selectors_are_offered_where_a_node_set_may_stand(line: str, offered: list[str]) -> None:
    _, answer = candidates_for(line, None)
    assert [one.word for one in answer.candidates] == offered
