"""What tests inherit from whoever calls them: signals, environment and umask are made the same for every caller."""

import os
import signal

_OURS = frozenset({
    "CLBALANCE_BLESS", "CLBALANCE_EXAMPLES", "CLBALANCE_FRESH_STARTS", "CLBALANCE_SOAK", "CLBALANCE_TEST_RUN",
})  # fmt: skip
"""Variables by which the suite itself is told something."""
_FAMILIES = ("CLBALANCE_", "CLUSTERSHELL_", "LC_", "SSH_", "XDG_")
_SINGLE = (
    "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "EDITOR", "FORCE_COLOR", "LANGUAGE", "LINES", "NO_COLOR", "PAGER",
    "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONSAFEPATH", "PYTHONWARNINGS", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TZ", "VISUAL",
)  # fmt: skip


def make_plain() -> None:
    """Before the first test, and before a worker is started."""
    for name in [name for name in os.environ if name.startswith(_FAMILIES) and name not in _OURS]:
        del os.environ[name]
    for name in _SINGLE:
        os.environ.pop(name, None)
    os.environ["LANG"] = "C.UTF-8"
    os.umask(0o022)
    heed_signals()


def heed_signals() -> None:
    """Whatever the caller ignores (`make test &` in a script, nohup) or blocks, what we start does not inherit.

    Python's own handlers are reset when another program is executed, ignored signals are not. A hang-up that was to be
    ignored still does nothing to us.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # Python itself ignores these two, and its children have them back.
        if number in {signal.SIGPIPE, signal.SIGXFSZ} or signal.getsignal(number) is not signal.SIG_IGN:
            continue
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
        elif number == signal.SIGHUP:
            signal.signal(number, lambda *_: None)
        else:
            signal.signal(number, signal.SIG_DFL)
