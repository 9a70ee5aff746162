"""The way in: `clbalance` and `python -m clbalance`. `--version` is answered before anything heavy is imported."""

import sys


def main() -> int:
    """The exit code for what was typed."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from clbalance import __version__

        sys.stdout.write(f"clbalance {__version__}\n")
        return 0
    from clbalance.cli.signals import raise_once

    raise_once()
    from clbalance.cli.app import carry_out

    return carry_out(arguments)


if __name__ == "__main__":
    sys.exit(main())
