"""Options for ssh, as typed or from the settings, checked before ssh gets them."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from clbalance.errors import UsageError
from clbalance.settings.values import Settings

_SSH_GETOPT = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"


def ssh_options(typed: str, where: str) -> str:
    """Options for ssh, quoted as in a shell; `Keyword=value` alone is what ssh itself takes after `-o`.

    Raises `UsageError` for what is no option, and for an ssh configuration that other users can write.
    """
    words = ssh_words(typed, where)
    if words and not words[0].startswith("-"):
        if not _SSH_KEYWORD.match(typed.strip()):
            raise UsageError(f"{where} cannot be {typed!r}: {words[0]!r} is no option of ssh", hint=_SSH_OPTIONS_HINT)
        return f"-o{shlex.quote(typed.strip())}"
    if "F" in typed:
        _check_files(words)
    return typed


def ssh_words(typed: str, where: str) -> list[str]:
    """The words of options, or of a program with its arguments; `UsageError` for an open quotation mark."""
    try:
        return shlex.split(typed)
    except ValueError as error:
        what = f"{str(error)[:1].lower()}{str(error)[1:]}"
        raise UsageError(f"{where} cannot be {typed!r}: {what}", hint=_SSH_OPTIONS_HINT) from None


_SSH_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(\s*=\s*|\s+)\S")
_SSH_OPTIONS_HINT = "options for ssh as a shell would take them, such as `-o '-F FILE'` or `-o Port=2222`"


def _check_files(words: list[str]) -> None:
    """Check the file that `-F` names: ssh itself checks only `~/.ssh/config`."""
    from clbalance.settings.trusted_file import check_trusted

    for name in _files(words):
        try:
            check_trusted(Path(name))
        except OSError:
            continue  # ssh has the better error message


def _files(words: list[str]) -> Iterator[str]:
    import getopt

    try:
        found, _ = getopt.getopt(words, _SSH_GETOPT)
    except getopt.GetoptError:
        return  # ssh has the better error message
    for option, value in found:
        if option == "-F" and value not in {"none", "/dev/null"}:
            yield value


def all_ssh_options(settings: Settings, typed_options: Sequence[str]) -> str:
    """Those of `-o` before the configured ones: ssh takes the first value that it sees. `UsageError` for bad ones."""
    configured = ssh_options(settings.ssh.options, "`ssh.options`")
    return " ".join((*(ssh_options(one, "`-o`") for one in typed_options), configured))
