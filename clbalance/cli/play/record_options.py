"""The options of `play` for runs of before."""

from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """What to do with recorded runs. The argument is then a run: its number, a playbook's name, or `last`."""

    history: Annotated[bool, Option("--history", help="List runs, newest first; of PLAYBOOK, if it is named.")] = False
    newest: Annotated[int, Option("--newest", metavar="N", help="With --history: so many runs.")] = 20
    show: Annotated[bool, Option("--show", help="Show RUN or the last run; with -v, what steps printed.")] = False
    go_on: Annotated[
        bool, Option("--continue", help="Go on with a run: nodes that failed or were not started. [last unfinished]")
    ] = False
    changed: Annotated[bool, Option("--changed", help="With --continue: by the playbook's new text.")] = False
    repeat_uncertain: Annotated[
        bool, Option("--repeat-uncertain", help="With --continue: repeat steps that may have run.")
    ] = False
