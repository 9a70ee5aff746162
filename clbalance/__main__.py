"""The way in: `clbalance` and `python -m clbalance`.

`--version` and completion are answered before anything heavy is imported.
"""

import gc
import os
import sys


def main() -> int:
    """The exit code for what was typed."""
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
        ignore_at_the_end()  # the interpreter's own end is not to be disturbed
        gc.freeze()  # nor to walk over every object once more, which took 10 ms


def _complete(arguments: list[str]) -> int:
    """Answer a shell's Tab key."""
    gc.disable()
    from clbalance.cli.complete.answer import answer

    try:
        return answer(arguments)
    finally:
        gc.freeze()


def _fill_closed_descriptors() -> None:
    """Some daemons start programs with 0, 1 or 2 closed: the next file opened would become our output."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != fd:
                os.dup2(opened, fd)
            setattr(sys, name, open(fd, "r" if fd == 0 else "w", closefd=False))  # noqa: SIM115 - by descriptor


if __name__ == "__main__":
    sys.exit(main())
