import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .agent_client import AgentClient
from .lives import Lives, lives_on
from .nodes import Node, public_folder
from .slots import Slots


@pytest.fixture
def client(tmp_path: Path) -> Iterator[AgentClient]:
    with AgentClient(tmp_path) as client:
        yield client


@pytest.fixture
def node() -> Iterator[Node]:
    with public_folder() as folder:
        yield Node(folder)


@pytest.fixture
def jobs(node: Node) -> Iterator[Lives]:
    with lives_on(node) as jobs:
        yield jobs


@pytest.fixture
def slots(node: Node) -> Iterator[Slots]:
    with ExitStack() as stack:
        slots = Slots(node, stack)
        try:
            yield slots
        finally:
            slots.end_all()


@pytest.fixture
def tiny_base(node: Node) -> Iterator[None]:
    """The node's folder on a file system of 256 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=1777", "tiny", str(node.base)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount here")
    yield
    subprocess.run(["umount", "-l", str(node.base)], check=True)  # a supervisor may have it open a moment longer
