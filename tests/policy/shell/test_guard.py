"""What is asked about before it is done, and what is not."""

import pytest

from clbalance.cli.verbs import VERBS
from clbalance.policy.shell.guard import asks_for_password, dangerous_word, mistyped_verb
from clbalance.settings.values import ShellSettings


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("cancle 17", "cancel"),
        ("lod", "load"),
        ("loaad -w x", "load"),
        ("dr4in node1", "drain"),
        ("load", None),
        ("uptime", None),
        ("ls -l", None),
        ("ps", None),
        ("systemctl stop x", None),
        ("command cancle", None),
        ("hostname", None),
        ("cat file", None),
        ("", None),
    ],
)
def test_a_first_word_one_edit_from_a_verb_is_noticed(line: str, meant: str | None) -> None:
    assert mistyped_verb(line, VERBS) == meant


@pytest.mark.parametrize(
    "command",
    [
        "reboot",
        "sudo -n reboot",
        "/sbin/shutdown -h now",
        "uptime; reboot",
        "true && sudo reboot",
        "mkfs.ext4 /dev/sda",
        "rm -rf /scratch",
        "rm -fR x",
        "rm --recursive x",
        "yes | rm -i -r x",
        "X=1 nohup dd if=/dev/zero of=x",
        "(reboot)",
        "echo $(reboot)",
        "sudo -u root reboot",
        "if true; then reboot; fi",
        "timeout 10s reboot",
        "nice -n 5 reboot",
        "find . -name x | xargs rm -r",
        "! reboot",
    ],
)
def test_dangerous_commands_are_noticed(command: str) -> None:
    assert dangerous_word(command, ShellSettings().confirm) is not None


@pytest.mark.parametrize(
    "command",
    [
        "rm x",
        "rm -f x",
        "echo reboot",
        "last reboot",
        "grep -r dd .",
        "ls rm -r",
        "sudo -u reboot id",
        "sudo -n last reboot",
        "",
    ],
)
def test_harmless_commands_are_not_asked_about(command: str) -> None:
    assert dangerous_word(command, ShellSettings().confirm) is None


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        (b"sudo: a terminal is required to read the password; either use the -S option", True),
        (b"sudo: no tty present and no askpass program specified", True),
        (b"[sudo] password for ann: ", True),
        (b"Password: ", True),
        (b"the password file is /etc/passwd", False),
        (b"", False),
    ],
)
def test_programs_that_want_a_password_are_noticed(line: bytes, asks: bool) -> None:
    assert asks_for_password(line) == asks
