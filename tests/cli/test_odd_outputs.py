"""A reader that has gone, or outputs that never were."""

import os
import subprocess
import sys

import pytest


def outputs_of(
    arguments: list[str], environment: dict[str, str], redirection: str
) -> "subprocess.CompletedProcess[str]":
    line = f'exec "$@" {redirection}'
    words = [sys.executable, "-m", "clbalance", *arguments]
    return subprocess.run(
        ["sh", "-c", line, "sh", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_outputs_disturb_nothing(lab_env: dict[str, str], redirection: str) -> None:
    done = outputs_of(["load", "-w", "node1"], lab_env, redirection)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["load", "-w", "node[1-2]"], ["pick", "-w", "node1"]])
def test_a_reader_that_has_gone_is_told_as_a_shell_tells_it(lab_env: dict[str, str], arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "clbalance", *arguments],
            env=lab_env,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, "Traceback" in done.stderr) == (141, False)


@pytest.mark.parametrize("arguments", [["load", "-w", "node1"], ["run", "-w", "node1", "--", "echo", "hi"]])
def test_an_output_that_is_full_is_named(lab_env: dict[str, str], arguments: list[str]) -> None:
    done = outputs_of(arguments, lab_env, ">/dev/full")
    assert done.returncode == {"load": 1, "run": 125}[arguments[0]]
    assert "clbalance: <stdout>: No space left on device" in done.stderr.splitlines()
