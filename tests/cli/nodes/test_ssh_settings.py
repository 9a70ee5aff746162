"""How nodes are reached: as clush reaches them, whatever `ssh_config` says besides, and by an ssh of any age."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command

PLAIN = {"CLBALANCE_SSH_OPTIONS": "", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
"""Neither the lab's variable for us nor its own ssh: only ClusterShell's files lead to its nodes."""


@pytest.fixture
def site(lab: Lab, folder: Path) -> Path:
    """A folder of ClusterShell's configuration like the lab's."""
    made = folder / "clustershell"
    shutil.copytree(lab.groups_conf.parent, made)
    return made


def up(command: Command, *arguments: str, env: dict[str, str]) -> set[str]:
    """The nodes that answer."""
    done = command("load", *arguments, "--json", "-q", env=env)
    return {one["name"] for one in json.loads(done.text)["nodes"] if one["state"] == "up"}


def test_where_clush_works_we_do(clbalance: Command, site: Path) -> None:
    env = {**PLAIN, "CLUSTERSHELL_CFGDIR": str(site), "CLBALANCE_GROUPS_CONF": ""}
    by_clush = subprocess.run(
        ["clush", "-g", "cpu", "echo up"], env={**clbalance.env, **env}, capture_output=True, text=True, check=True
    )
    assert {line.partition(":")[0] for line in by_clush.stdout.splitlines()} == {"node1", "node2", "node3", "node4"}
    assert up(clbalance, "-g", "cpu", env=env) == {"node1", "node2", "node3", "node4"}
    (site / "clush.conf").unlink()
    assert up(clbalance, "-g", "cpu", env=env) == set(), "without the file, ssh knows no such hosts"


def test_the_login_and_the_program_of_clush_are_ours(clbalance: Command, site: Path) -> None:
    asked = site / "asked"
    wrapper = site / "my ssh"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >>{asked}\nshift\nexec ssh "$@"\n')
    wrapper.chmod(0o755)
    with (site / "clush.conf").open("a") as file:
        file.write(f"ssh_path: '{wrapper}' --mine\nssh_user: nobody-here\n")
    done = clbalance("load", "node1", "-S", env={**PLAIN, "CLUSTERSHELL_CFGDIR": str(site)})
    assert (done.rc, "authentication failed" in done.text) == (4, True)
    assert asked.read_text().startswith("--mine -F ")
    assert " -l nobody-here -- node1 " in asked.read_text()
    shown = clbalance("config", "show", "--json", env={**PLAIN, "CLUSTERSHELL_CFGDIR": str(site)})
    user = json.loads(shown.text)["settings"]["ssh.user"]
    assert user == {"value": "nobody-here", "origin": str(site / "clush.conf")}
    assert up(clbalance, "node1", "-l", "root", env={**PLAIN, "CLUSTERSHELL_CFGDIR": str(site)}) == {"node1"}


def test_a_clush_conf_that_others_may_write_to_runs_nothing(clbalance: Command, site: Path) -> None:
    (site / "clush.conf").write_text(f"[Main]\nssh_path: touch {site}/ran\n")
    (site / "clush.conf").chmod(0o666)
    done = clbalance("load", "node1", env={**PLAIN, "CLUSTERSHELL_CFGDIR": str(site)})
    assert (done.rc, "others may write to it" in done.stderr) == (2, True)
    assert not (site / "ran").exists()
    places = json.loads(clbalance("config", "path", "--json", env={"CLUSTERSHELL_CFGDIR": str(site)}).text)["places"]
    assert (str(site / "clush.conf"), True) in {(one["path"], one["is_there"]) for one in places}


@pytest.fixture
def odd_config(lab: Lab, folder: Path) -> Path:
    """An ssh configuration as people have who work on one machine all day."""
    made = folder / "ssh_config"
    made.write_text(f"Host *\n    RemoteCommand exec tmux\n    RequestTTY force\n{lab.ssh_config.read_text()}")
    return made


def test_a_remote_command_and_a_terminal_in_ssh_config_are_set_aside(clbalance: Command, odd_config: Path) -> None:
    env = {"CLBALANCE_SSH_OPTIONS": f"-F {odd_config}"}
    assert up(clbalance, "node1", env=env) == {"node1"}
    assert clbalance("run", "-w", "node1", "--", "echo", "x", env=env).text == "x\n"
    terminal = clbalance.on_terminal("run", "-w", "node1", "--pty", "-c", "tty; exit 3", env=env)
    assert terminal.end() == 3
    assert b"/dev/pts/" in terminal.printed


def test_an_ssh_that_knows_no_remote_command_is_called_without(clbalance: Command, lab: Lab, folder: Path) -> None:
    old, calls = folder / "bin" / "ssh", folder / "calls"
    old.parent.mkdir()
    refuses = "echo 'command-line: line 0: Bad configuration option: remotecommand' >&2; exit 255"
    real = shutil.which("ssh")
    old.write_text(f'#!/bin/sh\necho >>{calls}\ncase "$*" in *RemoteCommand*) {refuses};; esac\nexec {real} "$@"\n')
    old.chmod(0o755)
    env = {"PATH": f"{old.parent}:{clbalance.env['PATH']}"}
    assert up(clbalance, "node[1-2]", env=env) == {"node1", "node2"}
    terminal = clbalance.on_terminal("run", "-w", "node1", "--pty", "-c", "exit 3", env=env)
    assert terminal.end() == 3


@pytest.mark.parametrize("typed", ["BatchMode=yes", "BatchMode yes", "-oBatchMode=yes", "-o BatchMode=yes -4"])
def test_an_option_is_understood_with_and_without_an_o_of_its_own(clbalance: Command, typed: str) -> None:
    assert up(clbalance, "node1", "-o", typed, env={}) == {"node1"}


def test_what_is_no_option_is_told(clbalance: Command) -> None:
    done = clbalance("load", "node1", "-o", "node2")
    assert (done.rc, "`-o` cannot be 'node2': 'node2' is no option of ssh" in done.stderr) == (2, True)
    assert "`-o Port=2222`" in done.stderr
