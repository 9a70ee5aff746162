"""Whose our standard input is, as real shells redirect it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import THIS_TREE

SHELLS = ("bash", "dash", "busybox sh", "ksh", "zsh", "fish", "tcsh")
ASK = f"{shlex.quote(sys.executable)} -c 'from clbalance.cli.run.standard_input import origin; print(origin().value)'"
LINES = b"one\ntwo\nthree\n"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words = str(request.param).split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}")
    return words


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    (tmp_path / "list").write_bytes(LINES)
    return tmp_path


def told(shell: list[str], text: str, folder: Path, given: str = os.devnull) -> list[str]:
    """What each call in `text` says, in a script with something after it. `given`: the script's own input."""
    script = folder / "script"
    script.write_text(f"#!{shutil.which(shell[0])} {' '.join(shell[1:])}\n{text}\ntrue\n")
    script.chmod(0o755)
    with (folder / given).open("rb") as stdin:
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), **THIS_TREE}
        done = subprocess.run([str(script)], stdin=stdin, capture_output=True, cwd=folder, env=env, timeout=60)  # noqa: PLW1510
    assert not done.stderr, done.stderr
    return done.stdout.decode().split()


def test_a_pipe_to_the_call_is_for_it(shell: list[str], listed: Path) -> None:
    assert told(shell, f"cat list | {ASK}", listed) == ["redirected"]


def test_a_file_for_the_call_is_for_it(shell: list[str], listed: Path) -> None:
    assert told(shell, f"{ASK} < list", listed) == ["redirected"]
    (listed / "other").write_bytes(LINES)
    assert told(shell, f"{ASK} < list", listed, "other") == ["redirected"]


def test_the_input_of_a_script_is_not(shell: list[str], listed: Path) -> None:
    assert told(shell, ASK, listed, "list") == ["inherited"]
    assert told(shell, f"cat list | {' '.join(shell)} -c {shlex.quote(f'{ASK}; true')}", listed) == ["inherited"]


def test_a_device_is_none(shell: list[str], listed: Path) -> None:
    assert told(shell, f"{ASK} < /dev/null", listed, "list") == ["none"]


def test_a_loop_keeps_its_lines(shell: list[str], listed: Path) -> None:
    if shell == ["tcsh"]:
        pytest.skip("its loops cannot be redirected")
    if shell == ["fish"]:
        loop = f"while read line\n{ASK}\necho $line\nend"
    else:
        loop = f"while read line; do {ASK}; echo $line; done"
    wanted = ["inherited", "one", "inherited", "two", "inherited", "three"]
    assert told(shell, f"{loop} < list", listed) == wanted
    assert told(shell, f"cat list | {loop}", listed) == wanted


@pytest.mark.parametrize(
    ("wrapper", "wanted"),
    [
        ("nice", "redirected"),
        ("env -i PYTHONPATH=$PYTHONPATH", "redirected"),
        ("setsid -w", "given"),
        ("timeout 50", "inherited"),
        ("xargs -a list -n 9", "inherited"),
        ("xargs -n 9", "none"),
        ("find list -exec", "inherited"),
    ],
)
def test_a_wrapper_that_goes_on_might_read_it_too(wrapper: str, wanted: str, listed: Path) -> None:
    end = " {} +" if wrapper.startswith("find") else ""
    assert told(["bash"], f"cat list | {wrapper} {ASK}{end}", listed) == [wanted]
