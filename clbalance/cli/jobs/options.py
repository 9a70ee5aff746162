"""The options of `jobs` that choose jobs and columns."""

from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTableOptions:
    """Which jobs are shown, in which columns and order."""

    since: Annotated[
        str | None,
        Option("--since", metavar="WHEN", help="Ended since then, or not ended: 2h (ago), today, 2026-11-26."),
    ] = None
    states: Annotated[
        list[str] | None, Option("--state", metavar="STATES", help="Only in these states, such as failed,timeout.")
    ] = None
    names: Annotated[
        list[str] | None, Option("--name", metavar="NAME", help="Only of this name, or a pattern such as 'train*'.")
    ] = None
    owners: Annotated[
        list[str] | None, Option("--owner", metavar="USER", help="With --all-users: only of this user.")
    ] = None
    columns: Annotated[
        str | None, Option("--columns", metavar="COLUMNS", help="These columns, such as job,name,ended,reason.")
    ] = None
    usage: Annotated[bool, Option("--usage", help="Show cpu time and memory of running jobs; asks their nodes.")] = (
        False
    )
    long: Annotated[bool, Option("--long", help="All columns, at full width.")] = False
    order: Annotated[
        str | None, Option("--order", metavar="COLUMNS", help="Sort by these columns, such as -ended,name. [number]")
    ] = None
