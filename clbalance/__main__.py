"""The way in: `clbalance` and `python -m clbalance`.

`--version` and completion are answered before anything heavy is imported.
"""

import atexit
import gc
import os
import sys


def main() -> None:
    """Do what was typed, and end the process.

    By ourselves: the interpreter takes all modules apart first, which takes 7 ms. Threads that still run are daemons.
    """
    code = _exit_code()
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to call them
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # the interpreter tries again, and tells what is wrong
    os._exit(code)


def _exit_code() -> int:
    """Do what was typed."""
    _fill_closed_descriptors()
    arguments = sys.argv[1:]
    if "_CLBALANCE_COMPLETE" in os.environ:
        return _complete(arguments)
    if arguments in (["--version"], ["-V"]):
        from clbalance import __version__

        sys.stdout.write(f"clbalance {__version__}\n")
        return 0
    gc.set_threshold(200_000)  # a start makes half as many objects and no garbage; to look for some took 6 to 40 ms
    try:
        from clbalance.cli.signals import ignore_at_the_end, raise_once
        from clbalance.errors import Interrupted
    except KeyboardInterrupt:  # before we heed signals
        return 130
    try:
        raise_once()
        from clbalance.cli.app import carry_out

        return carry_out(arguments)
    except Interrupted as stop:
        return 128 + stop.signum
    finally:
        ignore_at_the_end()  # the end is not to be disturbed


def _complete(arguments: list[str]) -> int:
    """Answer a shell's Tab key."""
    gc.disable()
    from clbalance.cli.complete.answer import answer

    return answer(arguments)


def _fill_closed_descriptors() -> None:
    """Some daemons start programs with 0, 1 or 2 closed: the next file opened would become our output."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != fd:
                os.dup2(opened, fd)
            setattr(sys, name, open(fd, "r" if fd == 0 else "w", closefd=False))  # noqa: SIM115 - by descriptor


if __name__ == "__main__":
    main()
