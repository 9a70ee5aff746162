"""The shell text of the playbooks that ship is for any POSIX shell."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.model.playbook import CheckHealth, Notify, Playbook, Reboot, RunProgram, ShellText, WaitFor
from clbalance.playbook.load import load_playbook
from tests.playbooks.support import SHIPPED

SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]


def texts(book: Playbook) -> Iterator[str]:
    """The shell text of its steps."""
    for step in (*book.steps, *book.rollback):
        match step.action:
            case RunProgram() | WaitFor() | Reboot() | CheckHealth() | Notify() as action:
                if isinstance(action.program, ShellText):
                    yield action.program.text


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_each_text_is_understood_by_each_shell(file: Path, shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]}")
    book = load_playbook(file.read_bytes(), file.name)
    for text in texts(book):
        read = subprocess.run([*shell, "-n"], input=text, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), text
