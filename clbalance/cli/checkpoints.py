"""`--checkpoint` and `--checkpoint-file`: how a job is told to save what it has done, so that it may be moved."""

import signal

from clbalance.cli.durations import parse_duration
from clbalance.cli.job_options import JobOptions
from clbalance.cli.signal_names import parse_signal
from clbalance.errors import UsageError
from clbalance.job import Checkpoint

_UNHEARD = (signal.SIGKILL, signal.SIGSTOP)


def checkpoint_of(options: JobOptions) -> Checkpoint | None:
    """What is meant; `UsageError` where the job could not be told so, or not be moved."""
    if options.checkpoint is None:
        if options.checkpoint_file is not None:
            raise UsageError("`--checkpoint-file` without `--checkpoint`", hint="such as `--checkpoint USR1`")
        return None
    if options.pty or options.pick != "1":
        bad = "--pty" if options.pty else "--pick"
        raise UsageError(f"a job with `{bad}` cannot be moved: `--checkpoint` is of no use to it")
    if options.checkpoint_file is not None and ("\0" in options.checkpoint_file or not options.checkpoint_file):
        raise UsageError(
            f"`--checkpoint-file` cannot be {options.checkpoint_file!r}", hint="a file that the job writes"
        )
    name, colon, grace = options.checkpoint.partition(":")
    number = parse_signal(name)
    if number in _UNHEARD:
        raise UsageError(f"`--checkpoint {name}`: no job can heed that signal", hint="such as USR1 or TERM")
    meant = Checkpoint(signal=number, file=options.checkpoint_file)
    if not colon:
        return meant
    return Checkpoint(signal=number, file=meant.file, grace_s=parse_duration(grace, "the time in `--checkpoint`"))
