"""Ctrl-C in the shell: whose it is, and when."""

import contextlib
import os
import pty
import signal
import subprocess

from clbalance.cli.shell.children import ctrl_c_is_for_children
from clbalance.cli.shell.prompt import InputWithSignals


def test_ctrl_c_is_ours_again_after_a_program_that_could_not_be_started() -> None:
    before = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(FileNotFoundError), ctrl_c_is_for_children():
        assert signal.getsignal(signal.SIGINT) is not before
        subprocess.run(["/nowhere"], check=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_where_ctrl_c_is_ignored_programs_inherit_that() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ctrl_c_is_for_children():
            done = subprocess.run(["/bin/sh", "-c", "kill -INT $$; echo on"], capture_output=True, check=True)
        assert done.stdout == b"on\n"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_terminal_that_is_gone_is_no_error_of_the_prompt() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave) as terminal:
        keys = InputWithSignals(terminal)
        os.close(master)
        with keys.raw_mode():
            assert keys.read_keys() == []
        assert keys.closed
