"""All man pages: one for the program, one for each verb, and those of settings and expressions."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from clbalance import __version__
from clbalance.cli.app import whole_app
from clbalance.cli.verbs import VERBS
from clbalance.settings.keys import GROUP_KEYS, GROUPS, KEYS, NODE_KEYS, NODES, VARIABLES
from man_pages.documents import document_section
from man_pages.roff import bold, example, italic, paragraph, plain, section, tagged, with_code

SETTINGS = "clbalance.toml.5"
EXPRESSIONS = "clbalance-expressions.7"


def write_pages(folder: Path, design: Path) -> list[Path]:
    """Write all pages into `folder`; `design` has the design pages."""
    command = typer.main.get_command(whole_app())
    context = typer.Context(command, info_name="clbalance", terminal_width=100, **command.context_settings)
    pages = {
        "clbalance.1": _program(command, context, design),
        SETTINGS: _settings(design),
        EXPRESSIONS: _expressions(design),
    }
    for verb, inner in command.commands.items():  # type: ignore[attr-defined]  # a group
        pages[f"clbalance-{verb}.1"] = _verb(verb, inner, _within(context, verb, inner))
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="ascii")
    return [folder / name for name in pages]


def _within(context: Any, name: str, command: Any) -> Any:
    return typer.Context(command, info_name=name, parent=context, **command.context_settings)


def _page(name: str, purpose: str, *sections: str) -> str:
    title, _, number = name.rpartition(".")
    day = time.strftime("%Y-%m-%d", time.gmtime(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))
    head = f'.TH {plain(title.upper())} {number} "{day}" "clbalance {__version__}" "clbalance"'
    named = section("NAME", rf"{plain(title)} \- {plain(purpose.removesuffix('.'))}")
    others = [one for one in ("clbalance.1", SETTINGS, EXPRESSIONS) if one != name]
    seen = ",\n".join(f"{bold(other[:-2])}({other[-1]})" for other in others)
    return "\n".join(part for part in (head, named, *sections, section("SEE ALSO", seen)) if part) + "\n"


def _program(command: Any, context: Any, design: Path) -> str:
    verbs = (tagged(rf"{bold(f'clbalance-{verb}')}(1)", with_code(line)) for verb, (_, line) in VERBS.items())
    page = design / "command-line.md"
    return _page(
        "clbalance.1",
        command.help,
        section("SYNOPSIS", _usage(command, context)),
        section("DESCRIPTION", paragraph(with_code(command.help)), paragraph(with_code(command.epilog))),
        section("VERBS", *verbs),
        section("OPTIONS", *_records(command, context, "option")),
        section("EXIT STATUS", document_section(page, "Exit codes")),
        section("ENVIRONMENT", document_section(page, "A job's environment")),
    )


def _verb(verb: str, command: Any, context: Any) -> str:
    inner = getattr(command, "commands", {}).items()
    return _page(
        f"clbalance-{verb}.1",
        VERBS[verb][1],
        section("SYNOPSIS", _usage(command, context)),
        section("DESCRIPTION", *_description(command)),
        section("ARGUMENTS", *_records(command, context, "argument")),
        section("VERBS", *(_inner_verb(f"{verb} {name}", one, _within(context, name, one)) for name, one in inner)),
        section("OPTIONS", *_records(command, context, "option")),
        section("EXIT STATUS", *_exit_status(command)),
    )


def _inner_verb(words: str, command: Any, context: Any) -> str:
    return section(
        plain(f"clbalance {words}"),
        _usage(command, context),
        *_description(command),
        *_records(command, context, "argument"),
        *_records(command, context, "option"),
        *_exit_status(command),
        macro="SS",
    )


def _usage(command: Any, context: Any) -> str:
    return f"{bold(context.command_path)} {plain(' '.join(command.collect_usage_pieces(context)))}"


def _description(command: Any) -> Iterator[str]:
    """The help text: paragraphs, and lines after a backspace character as they are."""
    for block in (command.help or "").strip().split("\n\n"):
        first, *others = block.split("\n")
        if first == "\b":
            yield example(others)
        else:
            yield paragraph(with_code(" ".join(block.split())))


def _records(command: Any, context: Any, kind: str) -> Iterator[str]:
    """The lines of `--help` for its options or its arguments."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if parameter.param_type_name == kind else None
        if record is not None:
            shown, text = record
            words = (bold(word) if word.startswith("-") else italic(word) for word in shown.split(" "))
            yield tagged(" ".join(words), with_code(" ".join(text.split())))


def _exit_status(command: Any) -> Iterator[str]:
    """What the verb's function says of its exit code."""
    text = " ".join((command.callback.__doc__ or "").split()) if command.callback else ""
    if "Exit" in text:
        yield paragraph(with_code(text))


def _settings(design: Path) -> str:
    page = design / "settings.md"
    keys = {
        **KEYS,
        **{f"{NODES}[].{key}": kind for key, kind in NODE_KEYS.items()},
        **{f"{GROUPS}[].{key}": kind for key, kind in GROUP_KEYS.items()},
    }
    return _page(
        SETTINGS,
        "the settings of clbalance",
        section("DESCRIPTION", document_section(page, "Sources")),
        section("KEYS", *(tagged(bold(key), with_code(kind.expected)) for key, kind in keys.items())),
        section("ENVIRONMENT", *(tagged(bold(name), f"sets {bold(key)}") for name, key in VARIABLES.items())),
        section("TRUSTED FILES", document_section(page, "Trusted files")),
    )


def _expressions(design: Path) -> str:
    page = design / "expressions.md"
    return _page(
        EXPRESSIONS,
        "conditions on nodes and GPUs, after --where, --order and other options",
        section("DESCRIPTION", document_section(page, "The language")),
        section("LABELS AND TAINTS", document_section(page, "Labels and taints")),
        section("IN LOAD", document_section(page, "In `load`")),
    )


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]), Path(__file__).parent.parent / "docs" / "design")
