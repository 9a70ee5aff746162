from collections.abc import Iterator
from pathlib import Path

import pytest

from .agent_client import AgentClient


@pytest.fixture
def client(tmp_path: Path) -> Iterator[AgentClient]:
    with AgentClient(tmp_path) as client:
        yield client
