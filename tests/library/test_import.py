"""What `import clbalance` is: nothing but a name, until something is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import clbalance
from tests.cli.command import Command


def test_the_import_alone_imports_nothing_else(alone: Command) -> None:
    program = "import sys; before = set(sys.modules); import clbalance; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(Path(clbalance.__file__).parent.parent)!r}); {program}"],
        env=dict(alone.env), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["clbalance"]


def test_the_library_imports_neither_typer_nor_what_draws(alone: Command) -> None:
    program = "import sys, clbalance; clbalance.Cluster, clbalance.Executor; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(alone.env), capture_output=True, text=True, timeout=60, check=True
    )
    heavy = {"typer", "click", "rich", "prompt_toolkit", "paramiko", "psutil", "pickle", "clbalance.cli"}
    assert heavy.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("name", clbalance.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(clbalance)
    assert getattr(clbalance, name) is getattr(clbalance, name)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'clbalance' has no attribute 'Claster'"):
        clbalance.Claster  # type: ignore[attr-defined]  # noqa: B018 - that is what is tested


def test_type_checkers_read_its_types() -> None:
    assert (Path(clbalance.__file__).parent / "py.typed").exists()
