"""What only real processes can show: nothing left behind, bounded memory, few files, many nodes."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from clbalance.errors import UsageError
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line
from clbalance.transport.reach import SshTransport, raise_file_limit
from clbalance.transport.ssh_command import ssh_argv
from tests.waiting import SOON_S

NODE = NodeName("here")
LOCAL = SshTransport(here=frozenset({NODE, NodeName("other"), *(NodeName(f"n{number}") for number in range(8))}))
"""These nodes are this machine."""


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if _lives(child)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_nothing_is_left_when_the_block_is_left() -> None:
    before = {child.pid for child in children()}
    with LOCAL.sessions() as sessions:
        for number in range(5):
            sessions.open(NodeName(f"n{number}"), within_s=60)
            sessions.send(NodeName(f"n{number}"), b"echo up; sleep 1000\n")
        for _ in range(5):
            assert isinstance(sessions.next(60), Line)
        assert len(children()) >= len(before) + 5
    assert {child.pid for child in children()} <= before


def test_files_are_given_back() -> None:
    def one_round() -> int:
        with LOCAL.sessions() as sessions:
            for number in range(8):
                sessions.open(NodeName(f"n{number}"), within_s=60)
                sessions.send(NodeName(f"n{number}"), b"exit\n")
            while sessions.open_nodes():
                sessions.next(60)
        return len(os.listdir("/proc/self/fd"))

    first = one_round()
    assert [one_round() for _ in range(3)] == [first] * 3


def test_a_process_that_closes_its_output_and_lives_on_stops_nobody() -> None:
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=6.0)
        sessions.send(NODE, b"exec >&- 2>&- sleep 600\n")
        sessions.open(NodeName("other"), within_s=60)
        sessions.send(NodeName("other"), b"while echo tick; do sleep 0.2; done\n")
        ticks = 0
        while not isinstance(event := sessions.next(60), Closed):
            ticks += event is not None
    assert (event.node, event.cause) == (NODE, Cause.TIMEOUT)
    assert ticks >= 1


def test_a_line_without_end_is_garbled_and_memory_stays_bounded() -> None:
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=60)
        sessions.send(NODE, b"cat /dev/zero\n")
        before = psutil.Process().memory_info().rss
        event = sessions.next(60)
        assert psutil.Process().memory_info().rss - before < 64 << 20
    assert isinstance(event, Closed)
    assert event.cause is Cause.GARBLED


def test_what_nobody_takes_is_not_read_and_all_of_it_arrives_once_it_is() -> None:
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=60)
        sessions.send(NODE, b"exec seq 500000\n")
        assert isinstance(sessions.next(60), Line)
        (counting,) = [child for child in children() if child.name() == "seq"]
        assert settled(lambda: counting.io_counters().write_chars) < 2 << 20
        heard = [1]
        while isinstance(event := sessions.next(60), Line):
            heard.append(int(event.text))
    assert heard == list(range(1, 500_001))


def settled(count: Callable[[], int]) -> int:
    """The count once it does not grow any more."""
    before = -1
    while (now := count()) != before:
        before = now
        time.sleep(0.3)
    return now


@pytest.mark.parametrize("flood", [b"exec yes garbage >&2\n", b"exec cat /dev/zero >&2\n"], ids=["lines", "one line"])
def test_a_node_that_complains_without_end_is_garbled(flood: bytes) -> None:
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=60)
        sessions.send(NODE, flood)
        event = sessions.next(60)
    assert event == Closed(node=NODE, cause=Cause.GARBLED, reason="more than 1 MiB on standard error")


def test_an_answer_that_waits_to_be_taken_is_in_time() -> None:
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=5.0)
        sessions.send(NODE, b"echo here\n")
        time.sleep(5.5)  # the engine is busy
        assert sessions.next(60) == Line(node=NODE, text=b"here")
        sessions.set_deadline(NODE, None)
        assert sessions.next(0.5) is None


@pytest.mark.parametrize("newline", [b"\\n", b"\\r\\n", b"\\r"], ids=["LF", "CRLF", "CR within"])
def test_lines_arrive_whole_whatever_ends_the_noise_before_them(newline: bytes) -> None:
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=60)
        sessions.send(NODE, b"printf 'noise%bmore\\n\\0\\377 bytes\\n' '" + newline + b"'; exit\n")
        lines = []
        while isinstance(event := sessions.next(60), Line):
            lines.append(event.text)
    assert lines[-1] == b"\0\xff bytes"
    assert b"".join(lines).startswith(b"noise")


def test_hundreds_of_nodes_fit_into_few_files() -> None:
    """In a process of its own, whose limit nobody can raise."""
    code = f"""
import sys
sys.path.insert(0, {os.getcwd()!r})
from clbalance.model import NodeName
from clbalance.ports import Line
from clbalance.transport.reach import SshTransport
names = [NodeName(f"n{{i}}") for i in range(300)]
heard = set()
with SshTransport(here=frozenset(names)).sessions() as sessions:
    for name in names:
        sessions.open(name, within_s=60)
        sessions.send(name, b"echo up\\n", last=True)
    while sessions.open_nodes():
        event = sessions.next(60)
        if isinstance(event, Line):
            heard.add(event.node)
assert heard == set(names), len(heard)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_file_limit_is_raised_and_leaves_room() -> None:
    code = "from clbalance.transport.reach import raise_file_limit as r; import resource as s; print(r(), s.getrlimit(s.RLIMIT_NOFILE)[0])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256)),
        capture_output=True,
        text=True,
        check=True,
    )
    capacity, soft = map(int, done.stdout.split())
    assert soft == 256
    assert capacity * 4 < 256 - 40
    assert raise_file_limit() >= 1


def test_nothing_of_a_node_name_can_be_an_option() -> None:
    argv = ssh_argv("-oProxyCommand=touch x", "exec /bin/sh -s", path="ssh", options="", user="", connect_timeout_s=3)
    assert argv[-3:] == ["--", "-oProxyCommand=touch x", "exec /bin/sh -s"]


def test_the_users_options_come_first_for_ssh_takes_the_first_value() -> None:
    argv = ssh_argv("n", "c", path="ssh", options="-oBatchMode=no", user="root", connect_timeout_s=0.2)
    assert argv.index("-oBatchMode=no") < argv.index("-oBatchMode=yes")
    assert "-oConnectTimeout=1" in argv


def test_without_an_ssh_program_nothing_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="`ssh` is not on the PATH"):
        SshTransport().sessions()


def test_a_program_that_cannot_be_started_is_a_silence_of_that_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sessions_of = SshTransport().sessions()
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with sessions_of as sessions:
        sessions.open(NODE, within_s=60)
        event = sessions.next(60)
    assert isinstance(event, Closed)
    assert event.cause is Cause.LOCAL


def test_one_process_group_per_node_so_that_the_terminals_interrupt_passes_it_by() -> None:
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=60)
        sessions.send(NODE, b"ps -o pgid= -p $$\n")
        event = sessions.next(60)
        assert isinstance(event, Line)
        assert int(event.text) != os.getpgrp()


def test_a_deadline_is_kept_to_a_fraction_of_a_second() -> None:
    start = time.monotonic()
    with LOCAL.sessions() as sessions:
        sessions.open(NODE, within_s=1.0)
        while not isinstance(sessions.next(60), Closed):
            pass
    assert 0.9 < time.monotonic() - start < SOON_S


def test_a_window_full_of_hung_nodes_delays_the_others_for_a_second_only() -> None:
    hung, healthy = [NodeName("hung1"), NodeName("hung2")], NodeName("healthy")
    start = time.monotonic()
    with SshTransport(fanout=2, here=frozenset({*hung, healthy})).sessions() as sessions:
        for node in hung:
            sessions.open(node, within_s=60)
            sessions.send(node, b"exec sleep 600\n")
        sessions.open(healthy, within_s=60)
        sessions.send(healthy, b"echo up\n")
        assert sessions.next(60) == Line(node=healthy, text=b"up")
        assert sessions.open_nodes().issuperset(hung)
    assert 0.9 < time.monotonic() - start < SOON_S


BEGIN_AT_ONCE = """
import sys, threading
from clbalance.transport.reach import SshTransport
sys.setswitchinterval(1e-5)
together = threading.Barrier(4)
begun = []
def begin():
    together.wait()
    with SshTransport(here=frozenset({"here"})).sessions():
        begun.append(1)
threads = [threading.Thread(target=begin) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(begun))
"""


def test_sets_of_sessions_may_begin_at_once_in_a_process_that_has_imported_nothing_of_clustershells_engine() -> None:
    told = subprocess.run([sys.executable, "-c", BEGIN_AT_ONCE], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("4\n", "")
