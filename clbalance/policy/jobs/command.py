"""The command of a job as one text, as it was typed. Pure."""

import shlex

from clbalance.model.job import Command, Script, Submitted
from clbalance.units import counted

_SHELL = ("/bin/sh", "-c")


def command_text(submitted: Submitted, tasks: int = 0) -> str:
    """The script or the command with its arguments; the text of `-c`. `tasks`: how many there are."""
    match submitted.job.payload:
        case Script(name=name, args=args):
            return shlex.join((name, *args))
        case Command(argv=argv) if argv == _SHELL and submitted.rules is not None:
            return f"list of {counted(tasks, 'command')}"
        case Command(argv=argv) if argv[:2] == _SHELL and len(argv) > 2:
            text, *words = argv[2:3] + argv[4:]  # without the name of the shell (submission of `-c`)
            return " ".join((text, *map(shlex.quote, words)))
        case Command(argv=argv):
            return shlex.join(argv)
