"""The options of `play` for runs of before."""

from typing import Annotated

from typer import Option

from clbalance.cli.play.options import PlayLooks, PlayOptions
from clbalance.errors import UsageError
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
    roll_back: Annotated[
        bool, Option("--rollback", help="Do the rollback on nodes that a run has done, the last one first. [last run]")
    ] = False
    changed: Annotated[bool, Option("--changed", help="With --continue, --rollback: by the playbook's new text.")] = (
        False
    )
    repeat_uncertain: Annotated[
        bool, Option("--repeat-uncertain", help="With --continue: repeat steps that may have run.")
    ] = False


def check_one_mode(looks: PlayLooks, record: RecordOptions, options: PlayOptions) -> None:
    """`UsageError` if two things are asked for at once, or an option has nothing to say."""
    modes = {
        "--check": looks.check,
        "--explain": looks.explain,
        "--list": looks.list_all,
        "--schema": looks.schema,
        "--history": record.history,
        "--show": record.show,
        "--continue": record.go_on,
        "--rollback": record.roll_back,
        "--dry-run": options.dry_run and not (record.go_on or record.roll_back),
    }
    typed = [name for name, is_typed in modes.items() if is_typed]
    if len(typed) > 1:
        raise UsageError(f"`{typed[0]}` and `{typed[1]}` exclude each other", hint="type one of them")
    if record.changed and not (record.go_on or record.roll_back):
        raise UsageError("`--changed` is for `--continue` and `--rollback`", hint=_GO_ON)
    if record.repeat_uncertain and not record.go_on:
        raise UsageError("`--repeat-uncertain` is for `--continue`", hint=_GO_ON)


_GO_ON = "`clbalance play --continue RUN` goes on with a run"
