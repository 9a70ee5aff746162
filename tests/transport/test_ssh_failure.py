"""ssh's words, as OpenSSH 9.2 and 10 print them, and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Cause
from clbalance.transport.ssh_failure import classify

CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key verification failed.
"""
POST_QUANTUM = """** WARNING: connection is not using a post-quantum key exchange algorithm.
** This session may be vulnerable to "store now, decrypt later" attacks.
** The server may need to be upgraded. See https://openssh.com/pq.html
"""


@pytest.mark.parametrize(
    ("rc", "stderr", "cause", "again"),
    [
        (255, "ssh: Could not resolve hostname x9: Name or service not known", Cause.DNS, False),
        (255, "ssh: connect to host n port 22: Connection refused", Cause.REFUSED, True),
        (255, "ssh: connect to host n port 22: No route to host", Cause.UNREACHABLE, True),
        (255, "ssh: connect to host n port 22: Connection timed out", Cause.UNREACHABLE, True),
        (255, "Connection timed out during banner exchange", Cause.HUNG, True),
        (255, "Timeout, server n not responding.", Cause.HUNG, True),
        (255, "kex_exchange_identification: Connection closed by remote host\nConnection closed by ::1 port 22", Cause.THROTTLED, True),
        (255, "kex_exchange_identification: read: Connection reset by peer", Cause.THROTTLED, True),
        (255, "Access denied by pam_slurm_adopt: you have no active jobs on this node\r\nConnection closed by 10.0.0.7 port 22", Cause.AUTH, False),
        (255, "Connection closed by 10.0.0.7 port 22", Cause.LOST, False),
        (255, "Not allowed at this time", Cause.PENALISED, False),
        (255, CHANGED, Cause.HOSTKEY_CHANGED, False),
        (255, "Host key verification failed.", Cause.HOSTKEY_UNKNOWN, False),
        (255, "u@n: Permission denied (publickey).", Cause.AUTH, False),
        (255, "Received disconnect: Too many authentication failures", Cause.AUTH, False),
        (255, "mux_client_request_session: session request failed: Session open refused by peer", Cause.MUX, True),
        (255, "ControlPath too long ('/x' >= 108 bytes)", Cause.MUX, True),
        (254, "Too many logins for 'u'.", Cause.LIMITS, True),
        (1, "sh: 1: cannot create /var/tmp/x: No space left on device", Cause.STORAGE, False),
        (255, "Connection to n closed by remote host.", Cause.LOST, False),
        (255, "", Cause.LOST, False),
        (1, "", Cause.NO_SHELL, False),
        (1, "This account is currently not available.", Cause.NO_SHELL, False),
        (127, "sh: 1: exec: python3: not found", Cause.NO_SHELL, False),
        (255, POST_QUANTUM, Cause.LOST, False),
        (255, POST_QUANTUM + "u@n: Permission denied (publickey).", Cause.AUTH, False),
    ],
)  # fmt: skip
def test_failures_are_told_apart(rc: int, stderr: str, cause: Cause, again: bool) -> None:
    failure = classify(rc, stderr)
    assert (failure.cause, failure.again) == (cause, again)
    assert failure.reason
    assert "\n" not in failure.reason


def test_a_changed_host_key_is_told_in_its_own_words_and_never_asked_again() -> None:
    failure = classify(255, CHANGED)
    assert failure.reason == "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"
    assert not failure.again


@pytest.mark.parametrize("said", ["unknown option -- Z", "option requires an argument -- p"])
def test_an_option_that_ssh_does_not_know_is_told_in_its_words_not_by_its_usage(said: str) -> None:
    usage = "usage: ssh [-46AaCfGgKkMNnqsTtVvXxYy] [-B bind_interface]\n           [-w local_tun[:remote_tun]] destination\n"
    failure = classify(255, f"{said}\n{usage}")
    assert (failure.cause, failure.reason) == (Cause.LOCAL, said)
    assert classify(1, usage).cause is Cause.NO_SHELL


@given(st.integers(0, 255), st.text(max_size=300))
def test_any_words_are_a_failure_of_one_line(rc: int, stderr: str) -> None:
    failure = classify(rc, stderr)
    assert failure.reason
