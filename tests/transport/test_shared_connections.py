"""Connections that are kept for the next call: who shares them, who never does, and what happens to one that hangs."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line
from clbalance.transport.reach import SshTransport
from clbalance.transport.sharing.configuration import configuration_without_sharing
from clbalance.transport.sharing.connections import (
    MOST_SESSIONS,
    SharedConnections,
    places_of,
    runtime_folder,
    sessions_over,
    shared_connections,
    standing,
    stop_sharing,
)
from tests.kept_connections import kept_in_a_folder

NODE = NodeName("node1")


@pytest.fixture
def base() -> Iterator[Path]:
    with kept_in_a_folder() as folder:
        yield folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text("# ControlMaster auto\nHost node*\n  Port 2222\n")
    return path


def shared(base: Path, config: Path, *, user: str = "", keep_s: float | None = 60.0) -> SharedConnections | None:
    return shared_connections(base, keep_s=keep_s, path="ssh", options=f"-F {config}", user=user)


def folder_of(base: Path, config: Path, user: str = "") -> Path:
    found = shared(base, config, user=user)
    assert found is not None
    return found.folder


class TestWhoShares:
    def test_a_private_folder_and_a_plain_configuration_do(self, base: Path, config: Path) -> None:
        found = shared(base, config)
        assert found is not None
        session = found.join(NODE)
        assert session is not None
        assert f"-oControlPath={found.folder / 'node1'}" in session.options
        assert not session.stands

    def test_it_is_known_which_nodes_have_a_connection(self, base: Path, config: Path) -> None:
        found = shared(base, config)
        assert found is not None
        assert found.nodes() == frozenset()
        (found.folder / NODE).touch()
        assert found.nodes() == {NODE}
        found.folder.rename(base / "gone")
        assert found.nodes() == frozenset()

    def test_nobody_does_when_it_is_off(self, base: Path, config: Path) -> None:
        assert shared(base, config, keep_s=None) is None

    def test_another_user_or_another_configuration_has_other_connections(self, base: Path, config: Path) -> None:
        before = folder_of(base, config)
        assert folder_of(base, config, user="ann") != before
        assert folder_of(base, config) == before
        config.write_text("Host node*\n  Port 2223\n")
        assert folder_of(base, config) != before

    @pytest.mark.parametrize(
        "line",
        [
            "ControlMaster no",
            "controlpath ~/.ssh/%C",
            "Host x\n\tControlPersist=1m",
            "Include ~/%h",
            "Include ${WHERE}",
        ],
    )
    def test_a_users_own_choice_is_left_alone(self, base: Path, config: Path, line: str) -> None:
        config.write_text(f"{line}\n")
        assert shared(base, config) is None

    def test_also_in_a_file_that_is_included(self, base: Path, config: Path) -> None:
        part = config.with_name("part.conf")
        part.write_text("Compression yes\n")
        config.write_text(f"Include {config.parent}/*.conf\n")
        assert shared(base, config) is not None
        part.write_text("ControlMaster auto\n")
        assert shared(base, config) is None

    def test_a_file_that_includes_itself_or_is_missing_is_none_to_rely_on(self, base: Path, config: Path) -> None:
        config.write_text(f"Include {config}\n")
        assert shared(base, config) is None
        assert shared(base, config.with_name("missing")) is None

    @pytest.mark.parametrize(
        "options", ["-o ControlMaster=auto", "-oControlPath=/x", "-M", "-S /x", "-TM", "-o 'ControlPersist 5'"]
    )
    def test_options_that_share_are_the_users_choice_too(self, options: str, tmp_path: Path) -> None:
        assert configuration_without_sharing("ssh", options, tmp_path / "none") is None

    def test_a_program_of_which_nothing_is_known_is_called_as_before(self) -> None:
        assert configuration_without_sharing("sshpass -e ssh", "-F none") is None
        assert configuration_without_sharing("/usr/local/bin/my-ssh", "-F none") is None

    def test_a_file_that_is_named_behind_other_letters_is_read(self, config: Path) -> None:
        assert configuration_without_sharing("ssh", f"-4F {config}") == config.read_text()
        config.write_text("ControlMaster auto\n")
        assert configuration_without_sharing("ssh", f"-4F{config}") is None

    def test_the_users_file_is_where_ssh_looks_for_it_not_in_the_home_of_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user, other = tmp_path / "user", tmp_path / "other"
        for home in (user, other):
            (home / ".ssh").mkdir(parents=True)
        (other / ".ssh/config").write_text("ControlMaster auto\n")
        (user / "part").write_text("Compression yes\n")
        (user / ".ssh/config").write_text("Include ~/part\n")
        monkeypatch.setenv("HOME", str(other))
        found = configuration_without_sharing("ssh", "", tmp_path / "none", user)
        assert found == "Include ~/part\n\nCompression yes\n"

    def test_no_file_is_waited_for_or_read_without_end(self, config: Path) -> None:
        fifo = config.with_name("fifo")
        os.mkfifo(fifo)
        config.write_text(f"Include {fifo}\n")
        assert configuration_without_sharing("ssh", f"-F {fifo}") is None
        assert configuration_without_sharing("ssh", f"-F {config}") is None
        assert configuration_without_sharing("ssh", "-F /dev/zero") is None
        assert configuration_without_sharing("ssh", "-F /dev/null") == ""
        config.write_text("#" * (2 << 20))
        assert configuration_without_sharing("ssh", f"-F {config}") is None

    def test_a_file_of_another_user_is_none_to_rely_on(self, config: Path) -> None:
        config.write_text("Include ~nobody-of-that-name/config\n")
        assert configuration_without_sharing("ssh", f"-F {config}") is None

    def test_the_systems_file_counts_too(self, tmp_path: Path) -> None:
        system = tmp_path / "ssh_config"
        system.write_text("Include parts/*\n")
        assert configuration_without_sharing("ssh", "", system, tmp_path) is not None
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts/one").write_text("ControlMaster auto\n")
        assert configuration_without_sharing("ssh", "", system, tmp_path) is None


class TestThePlaceOfTheSockets:
    @pytest.mark.parametrize("mode", [0o755, 0o777, 0o750])
    def test_a_folder_that_others_may_look_into_is_not_used(self, base: Path, config: Path, mode: int) -> None:
        base.chmod(mode)
        assert shared(base, config) is None
        base.chmod(0o700)

    def test_nor_one_behind_a_link(self, base: Path, config: Path) -> None:
        (base / "real").mkdir(mode=0o700)
        (base / "link").symlink_to("real")
        assert shared(base / "link", config) is None

    def test_a_node_whose_socket_cannot_be_named_connects_anew(self, base: Path, config: Path) -> None:
        found = shared(base, config)
        assert found is not None
        assert found.join(NodeName("n" * 80)) is None

    def test_it_is_in_the_runtime_folder_or_is_this_users_in_tmp(
        self, monkeypatch: pytest.MonkeyPatch, base: Path
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        assert runtime_folder() == base / "clbalance-ssh"

    def test_the_runtime_folder_of_another_user_is_not_used(self, monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
        others = Path("/")
        if os.geteuid() == 0:
            others = base / "others"
            others.mkdir()
            os.chown(others, 65534, -1)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(others))
        assert runtime_folder().parent != others

    def test_a_socket_that_a_dead_process_left_is_removed(self, base: Path, config: Path) -> None:
        path = folder_of(base, config) / NODE
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        assert list(standing(base)) == []
        assert not path.exists()


class TestHowManyShare:
    def test_no_more_than_eight_sessions_and_a_place_is_given_back(self, base: Path, config: Path) -> None:
        found = shared(base, config)
        assert found is not None
        sessions = [session for _ in range(MOST_SESSIONS) if (session := found.join(NODE)) is not None]
        assert len(sessions) == MOST_SESSIONS
        assert found.join(NODE) is None
        assert found.join(NodeName("node2")) is not None
        found.leave(sessions[3])
        assert found.join(NODE) is not None

    def test_sessions_of_other_processes_count_until_these_end(self, base: Path, config: Path) -> None:
        found = shared(base, config)
        assert found is not None
        path = found.folder / NODE
        first = places_of(path).start
        taker = (
            "import fcntl, os, sys\n"
            f"fd = os.open({str(base / 'sessions')!r}, os.O_RDWR)\n"
            f"fcntl.lockf(fd, fcntl.LOCK_EX, {MOST_SESSIONS - 1}, {first})\n"
            "print('taken', flush=True)\n"
            "sys.stdin.read()\n"
        )
        with subprocess.Popen(["python3", "-c", taker], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"taken\n"
            assert sessions_over(path) == MOST_SESSIONS - 1
            assert found.join(NODE) is not None
            assert found.join(NODE) is None
            other.communicate()
        assert found.join(NODE) is not None


@pytest.mark.sshd
class TestOnNodes:
    @pytest.fixture
    def transport(self, lab: Lab, base: Path, monkeypatch: pytest.MonkeyPatch) -> SshTransport:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        return SshTransport(options=lab.ssh_options, keep_s=60.0)

    def test_the_next_call_goes_over_the_connection_of_the_last_one(self, transport: SshTransport) -> None:
        assert asked(transport) == asked(transport), "the same sshd answered both"
        assert asked(SshTransport(options=transport.options)) != asked(transport), "this one has not asked for it"

    def test_one_that_hangs_is_not_waited_for(self, transport: SshTransport, base: Path) -> None:
        first = asked(transport)
        (path,) = standing(base / "clbalance-ssh")
        master = master_of(path)
        os.kill(master, signal.SIGSTOP)
        try:
            assert asked(transport) not in {"", first}
        finally:
            os.kill(master, signal.SIGKILL)

    @pytest.mark.parametrize("is_stopped", [False, True])
    def test_one_through_a_proxy_outlives_the_session_that_made_it(
        self, lab: Lab, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_stopped: bool
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        through = through_node2(lab, tmp_path, "")
        with SshTransport(options=through, keep_s=60.0).sessions() as first:
            first.open(NODE, within_s=60)
            first.send(NODE, b"echo $PPID\n")
            event = first.next(30)
            assert isinstance(event, Line)
            with SshTransport(options=through, keep_s=60.0).sessions() as second:
                second.open(NODE, within_s=60)
                second.send(NODE, b"echo $PPID\n")
                assert second.next(30) == event, "over the same connection"
                (path,) = standing(base / "clbalance-ssh")
                assert not is_stopped or stop_sharing(path)
                first.close(NODE)
                assert first.open_nodes() == frozenset()
                first.open(NODE, within_s=60)
                first.send(NODE, b"echo $PPID\n")
                assert (first.next(30) == event) is not is_stopped
                second.send(NODE, b"echo two\n")
                assert second.next(30) == Line(node=NODE, text=b"two")
        assert list(standing(base / "clbalance-ssh")) == [path]

    def test_a_jump_host_that_refuses_is_the_reason(
        self, lab: Lab, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        options = through_node2(lab, tmp_path, "-l nobody-of-that-name")
        with SshTransport(options=options, keep_s=60.0).sessions() as asked:
            asked.open(NODE, within_s=60)
            event = asked.next(30)
        assert isinstance(event, Closed)
        assert event.cause is Cause.AUTH
        assert "nobody-of-that-name" in event.reason

    def test_one_in_use_is_not_closed_when_sharing_is_stopped(self, transport: SshTransport, base: Path) -> None:
        asked(transport)
        with transport.sessions() as sessions:
            sessions.open(NODE, within_s=60)
            sessions.send(NODE, b"echo one\n")
            assert isinstance(sessions.next(30), Line)
            (path,) = standing(base / "clbalance-ssh")
            assert sessions_over(path) == 1
            assert stop_sharing(path)
            assert list(standing(base / "clbalance-ssh")) == []
            sessions.send(NODE, b"echo two\n")
            event = sessions.next(30)
            assert isinstance(event, Line)
            assert event.text == b"two"


def asked(transport: SshTransport) -> str:
    """The process that serves our session there: a connection's sshd."""
    with transport.sessions() as sessions:
        sessions.open(NODE, within_s=60)
        sessions.send(NODE, b"echo $PPID\n", last=True)
        event = sessions.next(30)
        return event.text.decode() if isinstance(event, Line) else ""


def through_node2(lab: Lab, folder: Path, login: str) -> str:
    """Options of ssh that reach `NODE` through node2, where one logs in with these options."""
    (config,) = re.findall(r"-F (\S+)", lab.ssh_options)
    proxied = folder / "proxied"
    proxied.write_text(
        f"{Path(config).read_text()}\nHost {NODE}\n  ProxyCommand ssh -F {config} {login} -W %h:%p node2\n"
    )
    return f"-F {proxied}"


def master_of(path: Path) -> int:
    told = subprocess.run(
        ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "check", "x"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(told.stderr.rpartition("pid=")[2].partition(")")[0])
