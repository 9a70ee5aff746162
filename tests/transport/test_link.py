"""A link is a pipe of bytes that always ends: in data, in an end, or in a reason, and never later than its deadline."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from clbalance.lab.cluster import Lab
from clbalance.model import Cause, NodeName
from clbalance.ports import Link, LinkError
from clbalance.transport.reach import SshTransport
from tests.cli.command import eventually, local_ssh

NODE = NodeName("node1")


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.sshd)])
def transport(request: pytest.FixtureRequest) -> Iterator[SshTransport]:
    if request.param == "local":
        yield SshTransport(here=frozenset({NODE}))
    else:
        yield SshTransport(options=request.getfixturevalue("lab").ssh_options, connect_timeout_s=60.0)


def linked(transport: SshTransport, command: str, *, within_s: float = 20.0, idle_s: float = 20.0) -> Link:
    return transport.link(NODE, command, within_s=within_s, idle_s=idle_s)


def all_of(link: Link) -> bytes:
    found = b""
    while piece := link.recv(1 << 16):
        found += piece
    return found


def test_what_is_sent_comes_back_whole_though_nothing_is_received_meanwhile(transport: SshTransport) -> None:
    content = os.urandom(900_000)
    with linked(transport, "exec cat") as link:
        link.send(content)
        link.send_end()
        assert all_of(link) == content


def test_a_command_that_fails_is_an_error_with_its_last_words(transport: SshTransport) -> None:
    with linked(transport, "echo out; echo no such thing >&2; exit 7") as link:
        assert link.recv(100) == b"out\n"
        with pytest.raises(LinkError, match="no such thing") as told:
            link.recv(100)
        assert told.value.cause is Cause.NO_SHELL


def test_who_says_nothing_at_first_or_later_is_late(transport: SshTransport) -> None:
    began = time.monotonic()
    with linked(transport, "exec sleep 300", within_s=1.0) as link, pytest.raises(LinkError, match="within 1 s"):
        link.recv(100)
    with linked(transport, "echo up; exec sleep 300", idle_s=0.5) as link:
        assert link.recv(100) == b"up\n"
        with pytest.raises(LinkError, match=r"nothing came for 0\.5 s") as told:
            link.recv(100)
    assert told.value.cause is Cause.TIMEOUT
    assert time.monotonic() - began < 100


def test_who_takes_nothing_is_late(transport: SshTransport) -> None:
    with linked(transport, "echo up; exec sleep 300", idle_s=0.5) as link:
        assert link.recv(100) == b"up\n"
        with pytest.raises(LinkError, match=r"it took nothing for 0\.5 s"):
            link.send(bytes(64 << 20))


def test_a_frozen_process_here_is_late_too(transport: SshTransport) -> None:
    with linked(transport, "echo up; exec cat", idle_s=0.5) as link:
        assert link.recv(100) == b"up\n"
        os.killpg(link._process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
        with pytest.raises(LinkError, match=r"for 0\.5 s"):
            link.send(bytes(64 << 20))


def test_a_killed_process_here_is_noticed_at_once(transport: SshTransport) -> None:
    with linked(transport, "echo up; exec cat") as link:
        assert link.recv(100) == b"up\n"
        os.killpg(link._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(LinkError):
            link.recv(100)


def test_endless_words_on_standard_error_end_it(transport: SshTransport) -> None:
    with linked(transport, "echo up; while :; do echo no >&2; done") as link:
        assert link.recv(100) == b"up\n"
        with pytest.raises(LinkError, match="1 MiB"):
            link.recv(100)


def test_closing_in_another_thread_wakes_who_waits(transport: SshTransport) -> None:
    with linked(transport, "echo up; exec cat") as link:
        assert link.recv(100) == b"up\n"
        closer = threading.Timer(0.1, link.close)
        closer.start()
        with pytest.raises(LinkError, match="closed here"):
            link.recv(100)
        closer.join()


@pytest.mark.sshd
def test_nothing_is_left_of_a_link(lab: Lab) -> None:
    transport = SshTransport(options=lab.ssh_options)
    with linked(transport, "echo up; exec sleep 300") as link:
        assert link.recv(100) == b"up\n"
    eventually(lambda: not local_ssh(lab))


@pytest.mark.sshd
def test_why_a_node_cannot_be_reached_is_told(lab: Lab) -> None:
    transport = SshTransport(options=lab.ssh_options)
    lab.node("node1").kill()
    with linked(transport, "exec cat") as link, pytest.raises(LinkError) as told:
        link.recv(100)
    assert (told.value.cause, told.value.again) == (Cause.REFUSED, True)
