"""The options that only `report` has."""

from pathlib import Path
from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodOptions:
    """The period, and the forms that only this verb has."""

    since: Annotated[
        str | None, Option("--since", metavar="TIME", help="Begin: 7d (ago), 2026-11-26, yesterday. [7d]")
    ] = None
    until: Annotated[str | None, Option("--until", metavar="TIME", help="End. [now]")] = None
    period: Annotated[
        str | None,
        Option("--period", metavar="PERIOD", help="today, yesterday, this-week, last-week, this-month or last-month."),
    ] = None
    compare: Annotated[
        str | None, Option("--compare", metavar="TIME", help="Compare what was before this time with what was after.")
    ] = None
    csv: Annotated[bool, Option("--csv", help="A line for each figure, for spreadsheets.")] = False
    markdown: Annotated[bool, Option("--markdown", help="Tables for wikis and mails.")] = False
    html: Annotated[
        Path | None, Option("--html", metavar="FILE", help="Write one page with pictures to this file.")
    ] = None
