"""Which nodes a line is carried out on after one that could not choose them."""

from collections.abc import Sequence

import pytest

from clbalance.cli.shell.executor import Executor
from clbalance.cli.shell.node_words import NodeWords
from clbalance.errors import NodeNameError, UsageError
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets
from clbalance.settings.values import ShellSettings

ALL = (NodeName("a"), NodeName("b"))


def executor(ran: list[tuple[NodeName, ...]], *, can_ask: bool) -> Executor:
    def run(nodes: Sequence[NodeName], command: str) -> int:
        assert command == "true"
        ran.append(tuple(nodes))
        return 0

    words = NodeWords(None, lambda _: False)  # type: ignore[arg-type]  # no selector is typed
    return Executor(
        ALL,
        NodeSets(None).expand,
        words=words,
        run=run,
        names_nodes=True,
        asks=ShellSettings(),
        can_ask=can_ask,
        yes=True,
    )


@pytest.mark.parametrize("mistake", ["use a[1", "use @none", "&c", "-a,b"])
def test_a_script_does_not_run_on_other_nodes_than_it_chose(mistake: str) -> None:
    ran: list[tuple[NodeName, ...]] = []
    shell = executor(ran, can_ask=False)
    with pytest.raises(NodeNameError) as told:
        shell.carry_out(f"{mistake}; true")
    assert "the current nodes stay a,b" in told.value.hint
    shell.carry_out("-b")
    for line in ("true", "drain --reason x"):
        with pytest.raises(UsageError, match="could not choose its nodes"):
            shell.carry_out(line)
    shell.carry_out("use b; true")
    assert ran == [(NodeName("b"),)]


def test_at_a_terminal_the_prompt_shows_the_nodes_that_stay() -> None:
    ran: list[tuple[NodeName, ...]] = []
    shell = executor(ran, can_ask=True)
    with pytest.raises(NodeNameError):
        shell.carry_out("use a[1")
    shell.carry_out("true")
    assert ran == [ALL]
