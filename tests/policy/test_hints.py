"""Hints name a node as ssh does: its host, its port, the name of its key, the file of keys."""

import pytest

from clbalance.model import Cause, NodeName
from clbalance.policy.hints import HINTS, SshAddress, filled_in

A, B = NodeName("gpu1"), NodeName("gpu2")
PLAIN = SshAddress(host="10.0.0.5")
OTHER = SshAddress(host="10.0.0.5", port="2222")
NAMED = SshAddress(host="10.0.0.6", port="2222", alias="gpu2", known_hosts="/etc/my keys")


@pytest.mark.parametrize(
    ("cause", "address", "hint"),
    [
        (Cause.DNS, None, "`getent hosts gpu1` should"),
        (Cause.DNS, PLAIN, "`getent hosts 10.0.0.5` should"),
        (Cause.UNREACHABLE, OTHER, "`ping 10.0.0.5`: is it powered, and does a firewall let port 2222 through?"),
        (Cause.REFUSED, OTHER, "nothing listens on its port 2222"),
        (Cause.HOSTKEY_CHANGED, None, "`ssh-keygen -R gpu1`"),
        (Cause.HOSTKEY_CHANGED, OTHER, "`ssh-keygen -R '[10.0.0.5]:2222'`"),
        (Cause.HOSTKEY_CHANGED, NAMED, "`ssh-keygen -f '/etc/my keys' -R gpu2`"),
        (Cause.HOSTKEY_UNKNOWN, PLAIN, "`ssh-keyscan 10.0.0.5 >>~/.ssh/known_hosts`"),
        (Cause.HOSTKEY_UNKNOWN, NAMED, "`ssh-keyscan -p 2222 10.0.0.6 | sed 's/^[^ ]*/gpu2/' >>'/etc/my keys'`"),
        (Cause.AUTH, OTHER, "`ssh-copy-id gpu1`"),
    ],
)
def test_one_node_is_named_as_ssh_finds_it(cause: Cause, address: SshAddress | None, hint: str) -> None:
    assert hint in filled_in(HINTS[cause], [A], {} if address is None else {A: address})


def test_of_several_nodes_only_what_they_share_is_named() -> None:
    both = {A: OTHER, B: NAMED}
    assert "`ping HOST`" in filled_in(HINTS[Cause.UNREACHABLE], [A, B], both)
    assert "port 2222" in filled_in(HINTS[Cause.UNREACHABLE], [A, B], both)
    assert "port PORT" in filled_in(HINTS[Cause.UNREACHABLE], [A, B], {A: PLAIN, B: NAMED})
    assert "`ssh-copy-id NODE`" in filled_in(HINTS[Cause.AUTH], [A, B], both)


@pytest.mark.parametrize("cause", Cause)
def test_no_placeholder_is_left(cause: Cause) -> None:
    for nodes in ([A], [A, B], []):
        assert "{" not in filled_in(HINTS[cause], nodes, {A: NAMED})
