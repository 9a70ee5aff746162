"""What is asked about before a line is carried out, and what is said after it failed. Pure."""

import re
import string
from collections.abc import Collection, Iterable

from clbalance.policy.shell.line import first_word

_BEFORE_COMMAND = frozenset({
    "sudo", "doas", "exec", "command", "nohup", "time", "env", "ionice", "nice", "setsid", "timeout", "xargs",
    "!", "if", "then", "elif", "else", "while", "until", "do",
})  # fmt: skip
_TAKE_A_WORD = frozenset({"-u", "-g", "-I", "--user", "--group"})
"""Options of these, such as in `sudo -u root reboot`."""
_NUMBER = re.compile(r"[0-9.]+[smhd]?")
"""As in `timeout 10s` and `nice -n 5`."""
_PASSWORD = re.compile(
    rb"a terminal is required|no tty present|password is required|no askpass|must be run from a terminal"
    rb"|(?i:^\s*(?:\[sudo\] )?password(?: for [^:]*)?: *$)"
)
PASSWORD_HINT = "commands have no terminal: `sudo -n` works where no password is needed, and `run --pty` asks for it"  # noqa: S105
_ALPHABET = string.ascii_lowercase


def mistyped_verb(line: str, known: Collection[str]) -> str | None:
    """The word of ours that the line's first word probably means: one letter is wrong, missing, or too much, or two
    are exchanged.
    """
    word = first_word(line)
    if word in known or len(word) < 3:
        return None
    return min(_one_edit(word) & set(known), default=None)


def _one_edit(word: str) -> set[str]:
    halves = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    return {
        *(before + after[1:] for before, after in halves if after),
        *(before + after[1] + after[0] + after[2:] for before, after in halves if len(after) > 1),
        *(before + letter + after[1:] for before, after in halves if after for letter in _ALPHABET),
        *(before + letter + after for before, after in halves for letter in _ALPHABET),
    }


def dangerous_word(command: str, words: Iterable[str]) -> str | None:
    """The word of these that the command begins with, in any of its parts; None: there is none.

    `rm -r` is one with an option: all words must stand there, the letters of the option among others.
    """
    wanted = [one.split() for one in words]
    for part in re.split(r"[;&|\n()`{}]+", command):
        typed = _command(part.split())
        for first, *options in wanted:
            if typed and _name(typed[0]) == first and all(_has(typed[1:], one) for one in options):
                return " ".join((first, *options))
    return None


def asks_for_password(line: bytes) -> bool:
    """Whether a line of output says that a program wanted a password, and had no terminal to ask on."""
    return _PASSWORD.search(line) is not None


def _command(words: list[str]) -> list[str]:
    """The words from the command on: without `sudo`, `then` and the like, their options, and assignments."""
    at = 0
    while at < len(words):
        word = words[at]
        if not (word in _BEFORE_COMMAND or "=" in word or word.startswith("-") or _NUMBER.fullmatch(word)):
            break
        at += 2 if word in _TAKE_A_WORD else 1
    return words[at:]


def _name(word: str) -> str:
    """`mkfs.ext4` and `/sbin/mkfs` are `mkfs`."""
    return word.rpartition("/")[2].partition(".")[0].strip("'\"\\")


def _has(typed: list[str], option: str) -> bool:
    """Whether an option such as `-r` stands there, in capitals, among others (`-fR`), or as a word (`--recursive`)."""
    letter = option.lstrip("-").lower()
    of_letters = (word for word in typed if word.startswith("-") and not word.startswith("--"))
    return any(letter in word.lower() for word in of_letters) or any(word.startswith(f"--{letter}") for word in typed)
