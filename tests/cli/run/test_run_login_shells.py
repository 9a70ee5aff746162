"""Whatever shell a user logs in with, and whatever it says on the way, `load` and `run` work or say why not."""

import json
import os

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from clbalance.lab.spec import LabUser
from tests.cli.command import Command
from tests.conftest import LAB_USERS

from .test_run_work import NASTY, SHOW_ARGUMENTS

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="users of a lab need root")
NOISE = {
    "bob": (".bashrc", "echo noise; echo more >&2; printf unfinished\n"),
    "cshuser": (".cshrc", "echo noise\n"),
    "tcshuser": (".cshrc", "echo noise\n"),
    "fishuser": (".config/fish/config.fish", "echo noise\n"),
}
CAN_LOG_IN = [user for user in LAB_USERS if not user.shell.endswith("nologin")]


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("user", CAN_LOG_IN, ids=lambda user: user.name)
def test_any_login_shell_will_do_though_it_talks(lab: Lab, clbalance: Command, user: LabUser) -> None:
    name = user.name
    home = lab.node("node1").folder.home(name)
    if name in NOISE:
        file, text = NOISE[name]
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(text)
        for place in home.rglob("*"):
            os.chown(place, user.uid, user.uid)
    loaded = clbalance("load", "-l", name, "-w", "node1", "--json")
    assert json.loads(loaded.stdout)["nodes"][0]["state"] == "up"
    text = f'{SHOW_ARGUMENTS}; echo " $(id -un) $HOME"'
    done = clbalance("run", "-l", name, "-q", "-w", "node1", "--chdir", "/", "--", "sh", "-c", text, "sh", *NASTY)
    assert done.rc == 0, done
    assert done.text == "".join(f"<{word}>" for word in NASTY) + f" {name} {home}\n"


@pytest.mark.root
@needs_root
def test_a_user_who_may_not_log_in_is_silent_with_a_reason(clbalance: Command) -> None:
    loaded = clbalance("load", "-l", "nologinuser", "-w", "node1")
    assert loaded.rc == 4
    assert "no shell: " in loaded.text
    done = clbalance("run", "-l", "nologinuser", "-w", "node1", "--", "true")
    assert done.rc == 125
    assert "0/1 nodes fit: 1 " in done.stderr


@pytest.mark.root
@needs_root
def test_a_folder_that_the_user_may_not_enter_is_replaced_by_home_with_a_warning(lab: Lab, clbalance: Command) -> None:
    clbalance.folder.chmod(0o700)
    done = clbalance("run", "-l", "alice", "-w", "node1", "--", "pwd")
    assert (done.rc, done.text) == (0, f"{lab.node('node1').folder.home('alice')}\n")
    assert "warning: node1: " in done.stderr
    assert "Permission denied" in done.stderr


@pytest.mark.root
@needs_root
def test_a_login_shell_that_is_not_posix_is_replaced_with_a_warning(clbalance: Command) -> None:
    done = clbalance("run", "-l", "fishuser", "-w", "node1", "--chdir", "/", "--login", "-c", "echo $0")
    assert (done.rc, done.text) == (0, "sh\n")
    assert "is not a POSIX shell" in done.stderr


def test_a_banner_is_no_answer_and_no_trouble(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").boot(Fault(sshd_options={"Banner": "/etc/passwd"}))
    assert clbalance("load", "-S", "-w", "node1").rc == 0
    done = clbalance("run", "-q", "-w", "node1", "--", "echo", "x")
    assert (done.rc, done.stdout, done.stderr) == (0, b"x\n", "")


def test_a_changed_host_key_is_never_connected_to(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").boot(Fault(other_host_key=True))
    done = clbalance("load", "-w", "node[1-2]")
    assert done.rc == 0
    assert "host key changed" in done.lines[-1]
    assert clbalance("run", "-w", "node1", "--", "true").rc == 125


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("user", CAN_LOG_IN, ids=lambda user: user.name)
def test_any_login_shell_gives_a_terminal(clbalance: Command, user: LabUser) -> None:
    session = clbalance.on_terminal(
        "run", "-q", "--pty", "-l", user.name, "-w", "node1", "--chdir", "/", "-c", 'echo "$(id -un) $(tty)"; exit 3'
    )
    assert session.end() == 3
    assert f"{user.name} /dev/pts/".encode() in session.raw
