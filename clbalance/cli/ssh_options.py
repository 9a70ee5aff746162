"""Options for ssh as typed after `-o`, or configured, before ssh sees them."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from clbalance.errors import UsageError

_OF_SSH = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"


def check_ssh_options(options: str, where: str) -> None:
    """Raises `UsageError` for an open quotation mark, and for a configuration that others may write."""
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise UsageError(
            f"{where} cannot be {options!r}: {str(error)[:1].lower()}{str(error)[1:]}",
            hint="options for ssh as a shell would take them, such as `-o '-F FILE'` or `-o '-p 2222'`",
        ) from None
    if "F" in options:
        _check_files(words)


def _check_files(words: list[str]) -> None:
    """ssh checks its user's own configuration, and not the one that `-F` names."""
    from clbalance.settings.trusted_file import check_trusted

    for name in _files(words):
        try:
            check_trusted(Path(name))
        except OSError:
            continue  # ssh says that better


def _files(words: list[str]) -> Iterator[str]:
    import getopt

    try:
        found, _ = getopt.getopt(words, _OF_SSH)
    except getopt.GetoptError:
        return  # ssh says that better
    for option, value in found:
        if option == "-F" and value not in {"none", "/dev/null"}:
            yield value
