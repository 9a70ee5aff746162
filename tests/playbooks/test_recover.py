"""`recover`: a node is touched only if its check fails, and is in service again only once it passes."""

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done
from tests.cli.conftest import clbalance, folder  # noqa: F401 - fixtures
from tests.playbooks.support import drain_reasons, given, home, quick, states_of

CHECK = 'test ! -e "$HOME/down" || { echo CRITICAL: no munge; exit 2; }'
RESTART = 'echo restarted >>"$HOME/log"; rm -f "$HOME/down"'
IN_VAIN = 'echo restarted >>"$HOME/log"'


def recovered(
    clbalance: Command,  # noqa: F811
    nodes: str,
    restart: str = RESTART,
    check: str = CHECK,
) -> Done:
    name = quick(clbalance, "recover")
    own = clbalance.folder / "config/clbalance/playbooks/recover.yml"
    own.write_text(own.read_text().replace("within: 2m", "within: 0.1"))
    return clbalance("play", name, "-w", nodes, "--json", *given(restart=restart, check=check))


def restarts(clbalance: Command, node: str) -> int:  # noqa: F811
    log = home(clbalance, node) / "log"
    return log.read_text().count("restarted") if log.exists() else 0


def test_a_sick_node_is_restarted_and_resumed_and_a_healthy_one_is_not_touched(clbalance: Command) -> None:  # noqa: F811
    (home(clbalance, "node2") / "down").touch()
    for _ in range(2):  # the second time all are well
        done = recovered(clbalance, "node[1-2]")
        assert (done.rc, states_of(done)) == (0, {"node1": "ok", "node2": "ok"}), done
        assert drain_reasons(clbalance, "node[1-2]") == {}
        assert [restarts(clbalance, node) for node in ("node1", "node2")] == [0, 1]


def test_it_is_drained_while_it_is_restarted(clbalance: Command) -> None:  # noqa: F811
    (home(clbalance, "node1") / "down").touch()
    restart = f'test -e "$CLBALANCE_NODE_DIR"/clbalance-*/drain && {{ {RESTART}; }}'
    assert recovered(clbalance, "node1", restart).rc == 0


def test_a_node_that_stays_sick_stays_drained_with_what_the_check_says_until_it_is_well(
    clbalance: Command,  # noqa: F811
) -> None:
    (home(clbalance, "node1") / "down").touch()
    done = recovered(clbalance, "node[1-2]", IN_VAIN)
    assert (done.rc, states_of(done)) == (4, {"node1": "failed", "node2": "ok"})
    (reason,) = drain_reasons(clbalance, "node[1-2]").values()
    assert reason.startswith("play recover run 1 failed: check again: ")
    assert "exit code 2: CRITICAL: no munge" in reason
    assert restarts(clbalance, "node1") == 1
    (home(clbalance, "node1") / "down").unlink()
    assert recovered(clbalance, "node[1-2]").rc == 0
    assert (drain_reasons(clbalance, "node[1-2]"), restarts(clbalance, "node1")) == ({}, 1)


def test_a_restart_that_fails_leaves_the_node_drained_with_what_it_said(clbalance: Command) -> None:  # noqa: F811
    (home(clbalance, "node1") / "down").touch()
    done = recovered(clbalance, "node1", "systemctl restart munge")
    assert done.rc == 4
    assert "restart: exit code 1: the lab's systemctl only reboots" in drain_reasons(clbalance, "node1")["node1"]


def test_where_the_check_is_missing_or_cannot_tell_nothing_is_changed(clbalance: Command) -> None:  # noqa: F811
    for check, said in (("no-such-check", "not found"), ("echo UNKNOWN: no answer; exit 3", "UNKNOWN: no answer")):
        done = recovered(clbalance, "node1", check=check)
        assert (done.rc, states_of(done), said in done.stderr) == (4, {"node1": "failed"}, True)
        assert (drain_reasons(clbalance, "node1"), restarts(clbalance, "node1")) == ({}, 0)


def test_a_node_that_is_down_fails_and_the_others_are_recovered(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    (home(clbalance, "node2") / "down").touch()
    lab.nodes[0].kill()
    done = recovered(clbalance, "node[1-2]")
    assert (done.rc, states_of(done)) == (4, {"node2": "ok", "node1": "failed"})
    assert "Connection refused" in done.stderr
    assert restarts(clbalance, "node2") == 1


def test_a_mark_that_somebody_has_set_by_hand_stays(clbalance: Command) -> None:  # noqa: F811
    assert clbalance("drain", "node1", "--reason", "new disk on Monday").rc == 0
    (home(clbalance, "node1") / "down").touch()
    assert recovered(clbalance, "node1").rc == 0
    assert drain_reasons(clbalance, "node1")["node1"].startswith("new disk on Monday")
