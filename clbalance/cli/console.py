"""The output of this process: data to stdout, remarks to stderr."""

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from clbalance.cli.options import JobOutputOptions, OutputOptions, VerbosityOptions
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.render import messages
from clbalance.render.format import Color, Format, wants_color
from clbalance.render.output.streams import Outlet, Outlets, StatusLine
from clbalance.render.report import Display, Report

if TYPE_CHECKING:
    from clbalance.render.output.collected import Collected
    from clbalance.render.reports.jobs.run import JobReport


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


def _display(form: Format, outlet: Outlet) -> Display:
    width = shutil.get_terminal_size().columns if outlet.terminal else _columns(os.environ)
    return Display(form=form, width=width, color=outlet.color)


def _columns(environment: Mapping[str, str]) -> int | None:
    """The width that `COLUMNS` asks for without a terminal, as `watch` does. None: it is not set, or makes no sense."""
    text = environment.get("COLUMNS", "")
    return int(text) if text.isdecimal() and 0 < int(text) < 10_000 else None


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
