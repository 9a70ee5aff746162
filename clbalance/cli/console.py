"""The output of this process: data to stdout, remarks to stderr, progress on a terminal only."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Collection
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from clbalance.cli.options import JobOutputOptions, OutputOptions, VerbosityOptions
from clbalance.errors import NothingFitsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan
from clbalance.nodeset import Candidates, fold
from clbalance.policy.placement.explain import unfit_summary
from clbalance.render import messages
from clbalance.render.format import Color, Format, wants_color
from clbalance.render.output.streams import Outlet, Outlets, StatusLine
from clbalance.render.report import Display, Report

if TYPE_CHECKING:
    from clbalance.render.output.collected import Collected
    from clbalance.render.reports.jobs.run import JobReport

_QUIET_FOR_S = 0.5  # a sweep that ends within this time shows no progress
_EVERY_S = 0.1
_USUAL_WIDTH = 80  # columns, for a terminal that does not tell its width


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Standard output and standard error of one call."""

    display: Display
    """How reports are shown on stdout."""
    display_aside: Display
    """How they are shown on stderr."""
    outlets: Outlets
    quiet: bool
    collected: "Collected | None" = None
    """The output of jobs, if it goes into a document; None: it is shown."""

    @classmethod
    def of(cls, options: OutputOptions | VerbosityOptions) -> "Console":
        """The console for these options; terminals, pipes and files are told apart here."""
        form = aside = options.format if isinstance(options, OutputOptions) else Format.HUMAN
        collected = None
        if isinstance(options, OutputOptions) and options.json:
            form = aside = Format.JSON
        elif isinstance(options, JobOutputOptions) and options.json:
            from clbalance.render.output.collected import Collected  # most calls show the output

            form, collected = Format.JSON, Collected()
        line = StatusLine()
        shared = line if _same_place(1, 2) else StatusLine()
        outlets = Outlets(stdout=_outlet(1, options.color, line), stderr=_outlet(2, options.color, shared))
        return cls(
            display=_display(form, outlets.stdout),
            display_aside=_display(aside, outlets.stderr),
            outlets=outlets,
            quiet=options.quiet,
            collected=collected,
        )

    def show(self, report: Report) -> None:
        """Print data, in the form that `--format` asks for."""
        self.print(self.display.text(report))

    def show_aside(self, report: Report) -> None:
        """Show a report on stderr; `-q` leaves it out."""
        self.say(self.display_aside.text(report))

    def print(self, text: str) -> None:
        """Print data that is no report, such as a number or the output of a job."""
        self.outlets.stdout.send(text.encode("utf-8", "backslashreplace"))

    def say(self, text: str) -> None:
        """Print a remark on stderr; `-q` leaves it out."""
        if not self.quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Print an error on stderr, also with `-q`."""
        self.outlets.stderr.remark(text.encode("utf-8", "backslashreplace"))

    def tell_end(self, report: "JobReport") -> None:
        """Say how each copy of a job ended, in any form in words; with `-q`, only the copies that failed."""
        if not self.quiet:
            self.say(replace(self.display_aside, form=Format.HUMAN).text(report))
            return
        from clbalance.render.ends import failure_lines

        for line in failure_lines(report.outcomes):
            self.complain(messages.note(line))

    def explain(self, plan: Plan) -> None:
        """Say why these nodes and not the others; also with `-q`, because the user asked for it."""
        from clbalance.render.reports.jobs.explain import PlacementReport

        self.complain(self.display_aside.text(PlacementReport(plan)))

    def stopped(self, signum: int | None) -> None:
        """A signal has ended the output. After Ctrl-C the cursor stands behind the terminal's `^C`, in an open line."""
        if signum == signal.SIGINT and self.outlets.stderr.terminal:
            self.outlets.stderr.line.is_open = True


def nothing_fits(plan: Plan, candidates: Candidates, *, explained: bool) -> NothingFitsError:
    """The error that says why too few nodes fit, with a count for each reason."""
    return NothingFitsError(
        unfit_summary(plan, len(candidates.nodes) + len(candidates.excluded)),
        hint="`clbalance load` shows the nodes"
        + ("" if explained else "; `clbalance pick --explain` says why not, node by node"),
    )


def _display(form: Format, outlet: Outlet) -> Display:
    width = shutil.get_terminal_size().columns if outlet.terminal else None
    return Display(form=form, width=width, color=outlet.color)


def _outlet(fd: int, color: Color, line: StatusLine) -> Outlet:
    stream = sys.stdout if fd == 1 else sys.stderr
    terminal = os.isatty(fd)
    colored = wants_color(color, os.environ, terminal=terminal)
    return Outlet(file=stream.buffer, terminal=terminal, color=colored, line=line)


def _same_place(one: int, other: int) -> bool:
    """Whether both descriptors write to one file: the same terminal, or after `2>&1`."""
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


class SweepProgress:
    """The progress of a sweep, on one line of stderr; only on a terminal, and only if it takes long.

    `meanwhile` is a module that is needed after the sweep: it is imported while the nodes work.
    """

    def __init__(self, console: Console, *, meanwhile: str) -> None:
        self._console = console
        self._meanwhile = meanwhile
        self._shown = not console.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._total = 0
        self._next_at = 0.0
        self._drawn = False

    def asked(self, total: int) -> None:
        self._total = total
        self._next_at = time.monotonic() + _QUIET_FOR_S
        import_module(self._meanwhile)

    def answered(self, node: NodeName) -> None:
        pass  # `awaiting` follows, and shows it

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        now = time.monotonic()
        if self._shown and now >= self._next_at:
            self._next_at = now + _EVERY_S
            self._drawn = True
            width = os.get_terminal_size(2).columns or _USUAL_WIDTH
            names = (
                fold(nodes) if len(nodes) <= width else None
            )  # more would not fit, and folding ten thousand takes time
            sys.stderr.write(f"\r\x1b[K{messages.sweep_progress(self._total, len(nodes), names, width)}")
            sys.stderr.flush()

    def store_failed(self, reason: str) -> None:
        self._console.say(messages.warning(f"going on without the state database: {reason}"))

    def done(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False
