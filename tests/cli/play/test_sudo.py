"""`sudo: true` by the real sudo: its rules decide, variables arrive, and who is refused has changed nothing."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.cli.play.test_play import book, nodes_of
from tests.faults.mounts import bound

_SUDOERS = Path("/etc/sudoers")
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("sudo") is None or not _SUDOERS.exists(), reason="there is no sudo here"),
]
_FREE = "Defaults env_reset, use_pty\nalice ALL=(ALL:ALL) NOPASSWD: ALL"


@contextmanager
def rules(lab: Lab, text: str) -> Iterator[None]:
    """On node1."""
    file = lab.nodes[0].folder.path / "sudoers"
    file.write_text(f"{text}\n")
    file.chmod(0o440)
    try:
        with bound(lab, lab.nodes[0], file, _SUDOERS):
            yield
    finally:
        file.unlink()


def as_root(command: str, more: str = "") -> str:
    return f"""
name: as-root
vars: {{word: "it's $HOME"}}
steps:
  - name: it
    user: alice
    sudo: true
    register: it
    run: {json.dumps(command)}
{more}
"""


def test_the_program_runs_as_root_with_its_variables(clbalance: Command, lab: Lab) -> None:
    command = 'id -un; printf "%s|" "$VAR_word" "$CLBALANCE_NODE" "$SUDO_USER"'
    with rules(lab, _FREE):
        done = clbalance("play", book(clbalance, as_root(command)), "-w", "node1")
    assert done.rc == 0, done.stderr
    (node,) = json.loads(clbalance("play", "--show", "-v", "--json").stdout)["nodes"]
    assert node["steps"][0]["out"] == "root\nit's $HOME|node1|alice|"


def test_a_failure_of_the_program_is_not_taken_for_one_of_sudo(clbalance: Command, lab: Lab) -> None:
    """The node's name does not resolve, so sudo warns of that, too."""
    with rules(lab, _FREE):
        done = clbalance("play", book(clbalance, as_root("exit 1", "    timeout: 60s")), "-w", "node1", "--json")
    reason = nodes_of(done.stdout)["node1"]["reason"]
    assert reason.startswith("it: exit code 1"), reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("root ALL=(ALL:ALL) ALL", "a password is required"),
        ("alice ALL=(ALL:ALL) NOPASSWD: /usr/bin/true", "a password is required"),
        (f"{_FREE}\nDefaults requiretty", "you must have a tty"),
        ("alice ALL=", ""),
    ],
    ids=["no rule", "another program", "only on a terminal", "rules that cannot be read"],
)
def test_who_is_refused_is_told_why_and_nothing_is_begun(clbalance: Command, lab: Lab, text: str, said: str) -> None:
    mark = lab.nodes[0].folder.tmp / "begun"
    with rules(lab, text):
        done = clbalance("play", book(clbalance, as_root(f"touch {mark}")), "-w", "node1", "--json")
    reason = nodes_of(done.stdout)["node1"]["reason"]
    assert done.rc == 4
    assert reason.startswith("it: not begun: `sudo -n` is not possible: ")
    assert said in reason
    assert not mark.exists()
