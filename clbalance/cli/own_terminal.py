"""What `--pty` asks for, and whether it can be had."""

import os
from collections.abc import Mapping

from clbalance.cli.job_options import JobOptions
from clbalance.errors import UsageError

_MOST = 0xFFFF  # rows and columns


def terminal_size(options: JobOptions) -> tuple[int, int] | None:
    """Rows and columns of our terminal where `--pty` asks for one there; `UsageError` where that cannot be."""
    if not options.pty:
        return None
    others = {
        "--detach": options.detach,
        "-b": options.gather,
        "--output": options.output is not None,
        "--error": options.error is not None,
        "--stdin": options.stdin is not None,
        f"--pick {options.pick}": options.pick != "1",
    }
    for option in (name for name, given in others.items() if given):
        raise UsageError(
            f"`--pty` and `{option}` exclude each other", hint="one program, on one node, on this terminal"
        )
    if not os.isatty(0):
        raise UsageError("`--pty` needs a terminal on standard input", hint="leave it out: `run` needs none")
    size = os.get_terminal_size(0)
    return min(size.lines, _MOST), min(size.columns, _MOST)


def terminal_kind(options: JobOptions) -> Mapping[str, str]:
    """What programs must know of our terminal, as a variable."""
    return {"TERM": os.environ.get("TERM") or "dumb"} if options.pty else {}
