"""Nothing that others wrote, or may have written, is run: a canary in it never sings."""

import os
from pathlib import Path

import pytest

from .command import Command


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
