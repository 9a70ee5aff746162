"""A low limit on open files costs time, not nodes; what cannot be done with it is said."""

import subprocess

from .command import ARGV, Command


def limited(clbalance: Command, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """With room for two sessions, soft and hard."""
    return subprocess.run(
        ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *ARGV, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=dict(clbalance.env),
        cwd=clbalance.folder,
        timeout=120,
        check=False,
    )


def test_every_node_is_asked_though_few_can_be_at_once(clbalance: Command) -> None:
    done = limited(clbalance, "load", "-S", "-a")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 9


def test_a_job_is_placed_among_more_nodes_than_can_be_kept_open(clbalance: Command) -> None:
    done = limited(clbalance, "run", "-q", "-a", "--pick", "2", "--no-label", "--", "echo", "x")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x\nx\n", b"")


def test_more_copies_than_sessions_are_refused(clbalance: Command) -> None:
    done = limited(clbalance, "run", "-q", "-a", "--pick", "8", "--", "echo", "x")
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"8 copies need 8 sessions at once, and the limit on open files allows 2" in done.stderr
    assert b"hint: " in done.stderr
