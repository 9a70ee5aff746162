"""Nothing that others wrote, or may have written, is run: a canary in it never sings."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from .command import ARGV, Command


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that is there once a command was run."""
    return tmp_path / "sang"


@pytest.fixture
def ssh_config(tmp_path: Path, canary: Path) -> Path:
    made = tmp_path / "ssh_config"
    made.write_text(f"Host *\nProxyCommand touch {canary}\n")
    return made


@pytest.mark.parametrize("written", ["-F {}", "-4F{}", "-o 'Port 22' -F '{}'"])
def test_a_configuration_of_ssh_that_others_may_write_is_not_given_to_ssh(
    alone: Command, ssh_config: Path, canary: Path, written: str
) -> None:
    options = written.format(ssh_config)
    ssh_config.chmod(0o666)
    for typed, env in ((("-o", options), {}), ((), {"CLBALANCE_SSH_OPTIONS": options})):
        done = alone("load", "-w", "node1", *typed, env=env)
        assert (done.rc, done.stdout) == (2, b"")
        assert f"{ssh_config}: others may write to it\nhint: type `chmod " in done.stderr
    assert not canary.exists()
    ssh_config.chmod(0o644)
    alone("load", "-w", "node1", "-o", options)
    assert canary.exists(), "this test is able to fail"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_settings_in_the_folder_of_somebody_else_are_not_used(
    alone: Command, folder: Path, ssh_config: Path, canary: Path
) -> None:
    (folder / "clbalance.toml").write_text(f'[ssh]\noptions = "-F {ssh_config}"\n')
    os.chown(folder, 54321, -1)
    done = alone("load", "-w", "node1")
    assert done.rc == 2
    assert f"its folder {folder} belongs to uid 54321" in done.stderr
    assert f"hint: type `chown root {folder}`" in done.stderr
    assert not canary.exists()
    checked = alone("config", "check")
    assert (checked.rc, f"`chown root {folder}`" in checked.stderr) == (2, True)


@pytest.fixture
def groups_conf(tmp_path: Path, canary: Path) -> Path:
    made = tmp_path / "site" / "groups.conf"
    made.parent.mkdir()
    made.write_text(
        f"[Main]\ndefault: x\n[x]\nmap: touch {canary}; echo n1\nall: touch {canary}; echo n1\nlist: touch {canary}; echo gpu\n"
    )
    return made


@pytest.mark.parametrize("way", ["--groups-conf", "CLBALANCE_GROUPS_CONF", "CLUSTERSHELL_CFGDIR", "groups_conf ="])
def test_no_way_to_groups_that_others_may_write_runs_their_commands(
    alone: Command, folder: Path, groups_conf: Path, canary: Path, way: str
) -> None:
    typed = ("--groups-conf", str(groups_conf)) if way.startswith("-") else ()
    named = {"CLBALANCE_GROUPS_CONF": str(groups_conf), "CLUSTERSHELL_CFGDIR": str(groups_conf.parent)}
    env = {way: named[way]} if way in named else {}
    if way == "groups_conf =":
        (folder / "clbalance.toml").write_text(f'groups_conf = "{groups_conf}"\n')
    groups_conf.chmod(0o666)
    message = f"{groups_conf}: others may write to it"
    for verb in (
        ("load", "-g", "gpu"),
        ("load", "-a"),
        ("load",),
        ("pick", "-w", "@x:gpu"),
        ("drain", "-g", "gpu", "--reason", "x"),
        ("history", "-a"),
    ):
        done = alone(*verb, *typed, env=env)
        assert (done.rc, done.stdout) == (2, b"")
        assert f"clbalance: {message}\nhint: type `chmod " in done.stderr
    if not typed:
        checked = alone("config", "check", env=env)
        assert (checked.rc, message in checked.stderr, f"w {groups_conf}`" in checked.stderr) == (2, True, True)
    doctor = alone("doctor", "--json", *typed, env=env)
    (found,) = [one for one in json.loads(doctor.stdout)["findings"] if one["check"] in {"groups", "nodes"}]
    assert (doctor.rc, found["what"], "`chmod " in found["hint"]) == (4, message, True)
    assert "unknown nodes: n1" in alone("history", "n1", *typed, env=env).stderr, "it needs no groups"
    assert not canary.exists()
    groups_conf.chmod(0o644)
    assert alone("history", "-g", "gpu", *typed, env=env).rc == 0
    assert canary.exists(), "this test is able to fail"


def test_a_group_that_is_broken_is_left_out_of_all_nodes_with_a_warning(alone: Command, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "groups.d").mkdir(parents=True)
    (site / "groups.conf").write_text("[Main]\ndefault: s\nautodir: $CFGDIR/groups.d\n")
    yaml = site / "groups.d" / "s.yaml"
    yaml.write_text("s:\n  cpu: n[1-3]\n  gpu: 12\n")
    env = {"CLUSTERSHELL_CFGDIR": str(site)}
    message = f"{yaml}:3: group `gpu` of source `s` is a number (12), not a node set"
    done = alone("history", "-a", env=env)
    assert (done.rc, f"clbalance: warning: a group is left out of all nodes: {message}\n" in done.stderr) == (0, True)
    for verb in (("history", "-g", "gpu"), ("history", "-a", "-X", "gpu"), ("config", "check")):
        refused = alone(*verb, env=env)
        assert (refused.rc, message in refused.stderr, "hint: write nodes in quotes" in refused.stderr) == (
            2,
            True,
            True,
        )
    doctor = alone("doctor", "n9", "-t", "1", "--json", env=env)
    assert message in [one["what"] for one in json.loads(doctor.stdout)["findings"]]


def test_a_module_that_clustershells_defaults_name_is_not_imported(alone: Command, folder: Path, canary: Path) -> None:
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(canary)!r}).touch()\nWORKER_CLASS = None\n")
    defaults = Path(alone.env["CLUSTERSHELL_CFGDIR"]) / "defaults.conf"
    defaults.write_text("[task.default]\ndistant_workername: evil\nlocal_workername: evil\n")
    # An interpreter of its own, for ClusterShell reads that file when it is imported.
    env = {**alone.env, "PYTHONPATH": f"{alone.env['PYTHONPATH']}:{folder}"}
    done = subprocess.run([*ARGV, "load", "-w", "n1"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (4, False)
    assert not canary.exists()
