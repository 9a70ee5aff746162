"""One call of the program: find its verb, and turn errors into messages and exit codes."""

import os
import signal
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Annotated, Any

import typer

from clbalance import __version__
from clbalance.cli.verbs import VERBS
from clbalance.errors import ClbalanceError, ExitCode, Interrupted, UsageError


def carry_out(arguments: Sequence[str]) -> int:
    """Carry out what was typed; the exit code. Errors of a user or a node never give a traceback."""
    try:
        code = command_for(arguments).main(list(arguments), prog_name="clbalance", standalone_mode=False)
    except MistypedError as error:
        return _mistyped(arguments, error)
    except ClbalanceError as error:
        return exit_code_of(arguments, error)
    except Interrupted as stop:
        if stop.signum == signal.SIGPIPE:
            _silence_stdout()
        raise
    except OSError as error:
        if error.filename == sys.stdout.name:
            _silence_stdout()
        where = f"{error.filename}: " if error.filename else ""
        return exit_code_of(arguments, ClbalanceError(f"{where}{error.strerror or error}"))
    return code if isinstance(code, int) else ExitCode.DONE


def command_for(arguments: Sequence[str]) -> Any:
    """The program as click has it, with only the parts that `arguments` need: their verb, or the names of all verbs."""
    first = next((word for word in arguments if word != "--"), "")
    return _command_with(first if first in VERBS else None)


@cache  # a process that carries out many lines makes each verb once
def _command_with(verb: str | None) -> Any:
    app = _without_verbs()
    if verb is not None:
        _register(app, verb)
    else:
        for name, (_, line) in VERBS.items():
            app.command(name, help=line)(_by_name_alone)
    return typer.main.get_command(app)


def whole_app() -> typer.Typer:
    """The program with all verbs and their options, for completion and the man pages."""
    app = _without_verbs()
    for verb in VERBS:
        _register(app, verb)
    return app


def _register(app: typer.Typer, verb: str) -> None:
    import_module(f"clbalance.cli.verbs.{VERBS[verb][0]}.{verb}").register(app)


def _without_verbs() -> typer.Typer:
    return typer.Typer(
        name="clbalance",
        help="Run jobs on the least loaded nodes of a cluster, over plain ssh.",
        epilog="Try it on a cluster in a box: clbalance lab up 8",
        no_args_is_help=True,
        add_completion=False,  # ours is `clbalance completion`
        rich_markup_mode=None,  # rich help doubles the time that --help takes
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        callback=_whole,  # without one, typer would make a single verb the whole program
    )


def _tell_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"clbalance {__version__}\n")
        raise typer.Exit


def _whole(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Show the version and exit.", callback=_tell_version, is_eager=True),
    ] = False,
) -> None:
    """Lists `--version` in the help. A call with nothing else is answered in `__main__`."""


def _by_name_alone() -> None:
    """A placeholder for verbs that were not typed: they are only listed, or suggested for a typing error."""
    raise AssertionError("only the verb that was typed is run")


def _mistyped(arguments: Sequence[str], error: Exception) -> int:
    """Report a usage error from typer; the help text if the verb is missing."""
    message = str(error.format_message())  # type: ignore[attr-defined]  # as every ClickException has it
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{message}\n")
        return ExitCode.USAGE
    failure = UsageError(_missing_arguments(error) or message, hint=hint_for(arguments, error))
    return exit_code_of(arguments, failure, was_parsed=False)


def exit_code_of(arguments: Sequence[str], error: ClbalanceError, *, was_parsed: bool = True) -> int:
    """Report an error on stderr, and as JSON on stdout if JSON was asked for; the exit code."""
    from clbalance.render import messages

    if error.exit_code is ExitCode.FAILED and arguments[:1] == ["run"]:
        error.exit_code = ExitCode.NOT_RUN_TO_ITS_END  # 1 could be the job's own
    if _wants_json(arguments, was_parsed=was_parsed):
        from clbalance.render.report import json_text
        from clbalance.render.reports.error import ErrorReport

        sys.stdout.write(json_text(ErrorReport(error).json()))
    sys.stderr.write(messages.error(error))
    stop = _signal_before(error)
    return error.exit_code if stop is None else 128 + stop.signum


def _signal_before(error: BaseException) -> Interrupted | None:
    """The signal that had stopped us when `error` was raised, by the cleanup after it."""
    before = error.__context__
    while before is not None and not isinstance(before, Interrupted):
        before = before.__context__
    return before


def _wants_json(arguments: Sequence[str], *, was_parsed: bool) -> bool:
    """Whether JSON was asked for. Of `run`, what follows the script is the script's own, if that can be told."""
    is_run = arguments[:1] == ["run"]
    if is_run and was_parsed:
        context = (
            command_for(arguments).commands["run"].make_context("run", list(arguments[1:]), resilient_parsing=True)
        )
        return bool(context.params["json"])
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    by_option = any(
        one in {"--json", "--format=json"} or (one == "--format" and value == "json") for one, value in pairs
    )
    return by_option or (not is_run and os.environ.get("CLBALANCE_FORMAT") == "json")


def _silence_stdout() -> None:
    """Send stdout to /dev/null if its reader is gone or the disk is full; else Python complains at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# Usage errors from typer, and hints what to type instead.

# The base class of these errors; its own name is private since typer vendored click.
MistypedError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _missing_arguments(error: Exception) -> str:
    """The message where a list of words and one more word are needed. typer would say that the list is missing."""
    context: Any = getattr(error, "ctx", None)
    if type(error).__name__ != "MissingParameter" or context is None:
        return ""
    names = [str(one.metavar) for one in context.command.params if one.param_type_name == "argument"]
    if len(names) < 2 or getattr(error, "param", None) is None or error.param.nargs == 1:  # type: ignore[attr-defined]  # as every MissingParameter has it
        return ""
    return f"Missing argument: {' and '.join(names)} are needed"


def hint_for(arguments: Sequence[str], error: Exception) -> str:
    """What to type instead, if it can be guessed; else how to get help."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return ""
    options = {option for one in context.command.params for option in one.opts}
    help_hint = f"`{context.command_path} --help` shows what can be typed"
    if "--pick" in options and getattr(error, "option_name", None) == "-n":
        count = next((after for one, after in pairwise(arguments) if one == "-n" and after.isdecimal()), "N")
        return f"how many nodes is `--pick {count}`; {help_hint}"
    if "--all" in options and getattr(error, "option_name", None) == "-a":
        return f"all of them is `--all`; {help_hint}"
    return help_hint
