"""What steps do on real nodes, inside a whole run: waiting, limits, jobs at a deadline, messages, login shells."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.cli.held_jobs import detached, held, job, let_go
from tests.cli.play.drained import drained_at_once
from tests.cli.play.test_play import book, home, nodes_of
from tests.faults.mounts import bound

# -- jobs that are still there at the deadline of the drain

_DRAINED = """
name: drained
drain: {{deadline: 1s, on_deadline: {then}}}
steps:
  - run: touch "$HOME/done"
"""


@pytest.mark.parametrize(
    ("then", "code", "state", "is_done", "stays_drained"),
    [("fail", 4, "failed", False, True), ("skip", 0, "left_out", False, False), ("force", 0, "ok", True, False)],
)
def test_a_job_at_the_deadline_of_the_drain_decides_as_the_playbook_says(
    clbalance: Command, lab: Lab, then: str, code: int, state: str, is_done: bool, stays_drained: bool
) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    done = clbalance("play", book(clbalance, _DRAINED.format(then=then)), "-w", "node1", "--json")
    assert (done.rc, nodes_of(done.stdout)["node1"]["state"]) == (code, state), done.stderr
    assert (home(clbalance, "node1") / "done").exists() is is_done
    assert drained_at_once(lab) == ({"node1"} if stays_drained else set())
    assert job(clbalance, number)["state"] == "RUNNING"
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0


# -- wait_for: it fails at its deadline with what is missing, and goes on once that is there

_WAITS = """
name: waits
steps:
  - wait_for: {{{what}, within: {within}, every: 0.2}}
  - run: touch "$HOME/after"
"""
Opens = Callable[[Command, Lab, socket.socket], object]


def _no_job(clbalance: Command, lab: Lab, server: socket.socket) -> None:
    let_go(clbalance)
    assert clbalance("wait", "last").rc == 0


@pytest.mark.parametrize(
    ("what", "opens"),
    [
        ('run: test -e "$HOME/ready"', lambda clbalance, _, __: (home(clbalance, "node1") / "ready").touch()),
        ("where: r1m > 5", lambda _, lab, __: lab.nodes[0].load(r1m=7.0)),
        ("no_jobs: true", _no_job),
        ("port: {port}", lambda _, __, server: server.listen()),
    ],
    ids=["run", "where", "no_jobs", "port"],
)
def test_waiting_fails_at_its_deadline_and_goes_on_once_all_is_there(
    clbalance: Command, lab: Lab, what: str, opens: Opens
) -> None:
    if opens is _no_job:
        detached(clbalance, "-w", "node1", "-c", held())
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # the nodes of a lab share the machine's network
        what = what.format(port=server.getsockname()[1])
        done = clbalance("play", book(clbalance, _WAITS.format(what=what, within="1s")), "-w", "node1", "--json")
        assert done.rc == 4
        assert nodes_of(done.stdout)["node1"]["reason"].startswith("wait_for 1: after 1 s: ")
        assert not (home(clbalance, "node1") / "after").exists()
        opens(clbalance, lab, server)
        book(clbalance, _WAITS.format(what=what, within="30s"))
        assert clbalance("play", "--continue", "--changed").rc == 0
    assert (home(clbalance, "node1") / "after").exists()


# -- how often, and how many at once

_SHARED = """
name: shared
vars: {folder: none}
steps:
  - name: once
    run: echo "$CLBALANCE_NODE"; echo x >>"$VAR_folder/once"
    run_once: true
    register: first
  - name: one by one
    run: mkdir "$VAR_folder/busy" && sleep 0.2 && rmdir "$VAR_folder/busy"
    throttle: 1
  - name: all
    run: echo "$VAR_first" >>"$VAR_folder/all"
"""


def test_run_once_counts_for_all_nodes_and_throttle_lets_them_in_one_by_one(clbalance: Command) -> None:
    done = clbalance("play", book(clbalance, _SHARED), "-w", "node[1-4]", "-e", f"folder={clbalance.folder}")
    assert done.rc == 0, done.stderr
    assert (clbalance.folder / "once").read_text() == "x\n"
    first = (clbalance.folder / "all").read_text().split()
    assert (len(first), len(set(first))) == (4, 1)


# -- pause, notify, rebalance

_ASKS = """
name: asks
steps:
  - pause: {ask: go on?}
  - run: touch "$HOME/done"
"""


def test_a_pause_that_nobody_answers_pauses_the_run_and_continuing_it_is_the_answer(clbalance: Command) -> None:
    done = clbalance("play", book(clbalance, _ASKS), "-w", "node1", "--json")
    assert (done.rc, json.loads(done.stdout)["state"]) == (4, "paused")
    assert not (home(clbalance, "node1") / "done").exists()
    assert clbalance("play", "--continue").rc == 0
    assert (home(clbalance, "node1") / "done").exists()


@pytest.mark.parametrize(("key", "code"), [(b"y\n", 0), (b"n\n", 4)])
def test_a_pause_asks_on_a_terminal(clbalance: Command, key: bytes, code: int) -> None:
    terminal = clbalance.on_terminal("play", book(clbalance, _ASKS), "-w", "node1")
    terminal.read_until(b"go on? [y/N]")
    terminal.type(key)
    assert terminal.end() == code
    assert (home(clbalance, "node1") / "done").exists() is (code == 0)


_TELLS = """
name: tells
vars: {told: none}
steps:
  - notify: {run: 'echo "$CLBALANCE_NODE: $CLBALANCE_MESSAGE" >>"$VAR_told"', message: begins}
  - notify: {run: exit 3}
  - name: breaks
    run: exit 5
rollback:
  - notify: {run: 'echo "$CLBALANCE_FAILED" >>"$VAR_told"'}
"""


def test_somebody_is_told_what_has_failed_and_a_message_that_fails_fails_no_step(clbalance: Command) -> None:
    told = clbalance.folder / "told"
    done = clbalance("play", book(clbalance, _TELLS), "-w", "node1", "-e", f"told={told}", "--json")
    assert nodes_of(done.stdout)["node1"]["reason"] == "breaks: exit code 5"
    assert told.read_text() == "node1: begins\nbreaks: exit code 5\n"


def test_rebalance_as_a_step_starts_what_waits(clbalance: Command) -> None:
    filler = detached(clbalance, "-w", "node1", "--cpus", "3", "-c", held())
    waiting = detached(clbalance, "--queue", "-w", "node1", "--cpus", "3", "-c", "echo ran >ran")
    assert job(clbalance, waiting)["state"] == "PENDING"
    let_go(clbalance)
    assert clbalance("wait", filler).rc == 0
    done = clbalance("play", book(clbalance, "name: level\nsteps:\n  - rebalance:\n"), "-w", "node[1-2]")
    assert done.rc == 0, done.stderr
    assert clbalance("wait", waiting).rc == 0
    assert (clbalance.folder / "ran").read_text() == "ran\n"


# -- shells

_ANY_SHELL = """
name: shells
health: {{run: test -s "$HOME/conf/it", fails: 1}}
{user}
steps:
  - copy: {{src: it, dest: conf/}}
  - run: {{command: [test, -s, it], chdir: conf}}
  - run: cat conf/it; printf '%s\\n' "$VAR_word" >&2
    register: it
  - wait_for: {{run: 'test "$VAR_word" = "it''s \\$HOME !x"', within: 5s}}
  - assert: it.rc = 0 and it.out = "text"
  - fetch: {{src: conf/it, dest: .}}
vars: {{word: "it's $HOME !x"}}
"""


def _played_in_any_shell(clbalance: Command, user: str) -> None:
    (clbalance.folder / "it").write_text("text\n")
    done = clbalance("play", book(clbalance, _ANY_SHELL.format(user=user)), "-w", "node1")
    assert done.rc == 0, done.stderr
    assert (clbalance.folder / "it.node1").read_text() == "text\n"


@pytest.mark.root
@pytest.mark.parametrize("user", ["cshuser", "tcshuser", "fishuser"])
def test_any_login_shell_will_do(clbalance: Command, lab: Lab, user: str) -> None:
    if user not in {one.name for one in lab.record.spec.users}:
        pytest.skip(f"there is no {user} here")
    _played_in_any_shell(clbalance, f"user: {user}")


@pytest.mark.root
def test_a_sh_that_is_busyboxs_will_do(clbalance: Command, lab: Lab) -> None:
    busybox = Path("/usr/bin/busybox") if Path("/usr/bin/busybox").exists() else Path("/bin/busybox")
    if not busybox.exists():
        pytest.skip("there is no busybox here")
    with bound(lab, lab.nodes[0], busybox.resolve(), Path("/bin/sh").resolve()):
        _played_in_any_shell(clbalance, "")
