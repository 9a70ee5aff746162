"""Every command that README.md shows works, in the order in which a reader types them.

Commands are lines that begin with `$ ` in blocks fenced as ```console; ```console no-test is not run.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clbalance
from clbalance.lab.cluster import take_down

from .leftovers import marked

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```console *\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Of all blocks, in order; a line that ends with a backslash goes on."""
    text = "\n".join(block[1] for block in BLOCK.finditer(README.read_text()))
    return [line[2:] for line in re.sub(r"\\\n *", "", text).splitlines() if line.startswith("$ ")]


@pytest.fixture
def lab_directory(openssh: None, tmp_path: Path) -> Iterator[Path]:
    """Where the reader's own lab goes; whatever becomes of it is taken down."""
    directory = tmp_path / "lab"
    yield directory
    take_down(directory)


@pytest.mark.sshd
@pytest.mark.minute
@pytest.mark.timeout(900)
def test_every_command_of_the_readme_works(lab_directory: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "job.sh").write_text("#!/bin/sh\necho hello from $CLBALANCE_NODE\n")
    env = {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(clbalance.__file__).parent.parent),
        **marked(),
        "CLBALANCE_LAB_DIR": str(lab_directory),
        "CLBALANCE_STATE_DIR": str(tmp_path / "state"),
    }
    script = "set -e\n" + "".join(f"echo {shlex.quote('$ ' + command)} >&2\n{command}\n" for command in commands())
    done = subprocess.run(
        ["bash", "-c", script],
        env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
