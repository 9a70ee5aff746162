"""`terminal`: what `run --pty` executes to be on a node with its terminal."""

from clbalance.model import NodeName
from clbalance.transport.reach import SshTransport

NODE, HERE = NodeName("node1"), NodeName("here")


def test_it_is_ssh_with_a_terminal_by_the_users_options_first() -> None:
    argv = SshTransport(options="-F '/my config'", user="ann", connect_timeout_s=3.0).terminal(NODE, "the line")
    assert argv[:3] == ["ssh", "-F", "/my config"]
    assert "-tt" in argv
    assert "-T" not in argv
    assert argv[-5:] == ["-l", "ann", "--", "node1", "the line"]


def test_another_login_goes_the_same_way() -> None:
    argv = SshTransport(options="-F mine", user="ann").as_user("bob").terminal(NODE, "the line")
    assert (argv[:3], argv[-5:]) == (["ssh", "-F", "mine"], ["-l", "bob", "--", "node1", "the line"])


def test_this_machine_is_reached_without_ssh() -> None:
    there = SshTransport(here=frozenset({HERE}))
    assert there.terminal(HERE, "the line") == ["/bin/sh", "-c", "the line"]
