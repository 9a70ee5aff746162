"""`drain-and-repair`: a node is given back only once its repair and its check are good."""

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done, ended, eventually
from tests.cli.conftest import clbalance, folder  # noqa: F401 - fixtures
from tests.cli.held_jobs import detached, held, let_go
from tests.playbooks.support import drain_reasons, given, home, quick, states_of

DRAINED = 'test -e "$CLBALANCE_NODE_DIR"/clbalance-*/drain'


def repaired(clbalance: Command, nodes: str, repair: str, check: str = "true", **more: str) -> Done:  # noqa: F811
    name = quick(clbalance, "drain-and-repair")
    return clbalance("play", name, "-w", nodes, "--json", *given(repair=repair, check=check, **more))


def test_a_node_is_repaired_while_it_is_drained_and_then_given_back(clbalance: Command) -> None:  # noqa: F811
    repair = f'{DRAINED} && echo mended >>"$HOME/log"'
    for mended in (1, 2):
        done = repaired(clbalance, "node[1-2]", repair, check='grep -q mended "$HOME/log"')
        assert (done.rc, states_of(done)) == (0, {"node1": "ok", "node2": "ok"}), done
        assert drain_reasons(clbalance, "node[1-2]") == {}
        assert (home(clbalance, "node2") / "log").read_text() == "mended\n" * mended


def test_a_node_with_a_job_is_repaired_once_the_job_has_ended(clbalance: Command) -> None:  # noqa: F811
    job = detached(clbalance, "-w", "node1", "-c", held())
    name = quick(clbalance, "drain-and-repair")
    repair = f"test -e {clbalance.folder}/go && touch {clbalance.folder}/repaired"
    play = clbalance.start("play", name, "-w", "node1", *given(repair=repair, check="true"))
    eventually(lambda: "node1" in drain_reasons(clbalance, "node1"))
    let_go(clbalance)
    assert ended(play, 60.0) == 0
    assert (clbalance.folder / "repaired").exists()
    assert clbalance("wait", "-q", job).rc == 0


def test_a_repair_that_fails_leaves_the_node_drained_with_what_it_said_and_begins_no_other(
    clbalance: Command,  # noqa: F811
) -> None:
    done = repaired(clbalance, "node[1-8]", "echo no spare disk >&2; exit 3")
    assert done.rc == 4
    (failed,) = drain_reasons(clbalance, "node[1-8]").items()
    assert failed[1].startswith("play drain-and-repair run 1 failed: repair: exit code 3: no spare disk")
    assert states_of(done) == {f"node{at}": "notstarted" for at in range(1, 9)} | {failed[0]: "failed"}
    assert repaired(clbalance, failed[0], "true").rc == 0, "it is taken over"
    assert drain_reasons(clbalance, "node[1-8]") == {}


def test_a_check_that_fails_after_the_repair_leaves_the_node_drained(clbalance: Command) -> None:  # noqa: F811
    done = repaired(clbalance, "node1", 'touch "$HOME/repaired"', check="echo CRITICAL: no scratch; exit 2")
    assert (done.rc, states_of(done)) == (4, {"node1": "failed"})
    assert (home(clbalance, "node1") / "repaired").exists()
    assert "health: sick: exit code 2: CRITICAL: no scratch" in drain_reasons(clbalance, "node1")["node1"]


def test_a_check_that_is_missing_is_not_taken_for_a_good_one(clbalance: Command) -> None:  # noqa: F811
    name = quick(clbalance, "drain-and-repair")
    own = clbalance.folder / "config/clbalance/playbooks/drain-and-repair.yml"
    own.write_text(own.read_text().replace("within: 5m", "within: 0.1"))
    done = clbalance("play", name, "-w", "node1", "--json", *given(repair="true", check="no-such-check"))
    assert (done.rc, states_of(done)) == (4, {"node1": "uncertain"})
    assert "no-such-check: not found" in drain_reasons(clbalance, "node1")["node1"]


def test_a_repair_may_need_a_reboot(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    boot_id = lab.nodes[0].folder.proc / "sys/kernel/random/boot_id"
    before = boot_id.read_text()
    done = repaired(clbalance, "node1", "true", check="node-health", reboot="yes")
    assert (done.rc, drain_reasons(clbalance, "node1")) == (0, {}), done
    assert boot_id.read_text() != before


def test_a_node_that_is_down_fails_alone_and_nothing_is_done_to_it(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    lab.nodes[0].kill()
    done = repaired(clbalance, "node1", "true")
    assert (done.rc, states_of(done)) == (4, {"node1": "failed"})
    assert "Connection refused" in done.stderr


def test_a_node_that_hangs_fails(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    name = quick(clbalance, "drain-and-repair")
    lab.nodes[0].hang()
    done = clbalance("play", name, "-w", "node1", "-t", "1", "-u", "1", "--json", *given(repair="true"))
    assert (done.rc, states_of(done)) == (4, {"node1": "failed"})


def test_without_a_repair_no_node_is_drained(clbalance: Command) -> None:  # noqa: F811
    done = clbalance("play", "drain-and-repair", "-w", "node1")
    assert (done.rc, "repair" in done.stderr) == (2, True)
    assert drain_reasons(clbalance, "node1") == {}


def test_a_mark_that_somebody_has_set_by_hand_stays(clbalance: Command) -> None:  # noqa: F811
    assert clbalance("drain", "node1", "--reason", "new disk on Monday").rc == 0
    assert repaired(clbalance, "node1", "true").rc == 0
    assert drain_reasons(clbalance, "node1")["node1"].startswith("new disk on Monday")
