"""What a run of the benchmarks leaves behind: one JSON document, its page, and the index of all pages. Texts only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .figure import HEADS, Figure, Skipped, cells

SCHEMA = 2
_HOW = "benchmarks.md"
Document = Mapping[str, Any]


def document(
    *,
    date: str,
    machine: Mapping[str, str],
    programs: Mapping[str, str],
    rounds: int,
    figures: Sequence[Figure],
    skipped: Sequence[Skipped],
) -> Document:
    """All that was found, and all that was not: `skipped` without a `peer` is a question that was not answered."""
    return {
        "schema": SCHEMA,
        "date": date,
        "machine": machine,
        "programs": programs,
        "rounds": rounds,
        "figures": [figure.document() for figure in figures],
        "skipped": [{"name": one.name, "peer": one.peer, "reason": one.reason} for one in skipped],
    }


def page(name: str, told: Document, figures: Sequence[Figure]) -> str:
    """A page in Markdown, made of the document and of the figures in it."""
    lines = [
        f"# Benchmarks of {told['date']}",
        "",
        f"{_held(told)} [How to read this](../{_HOW}); [the same as JSON]({name}.json).",
        "",
        *(f"* {fact}: {value}" for fact, value in told["machine"].items()),
        f"* programs: {', '.join(f'{program} {version}' for program, version in told['programs'].items())}",
        f"* rounds: {told['rounds']}",
        "",
        _row(HEADS),
        _row(["---"] * len(HEADS)),
        *(_row(cells(figure)) for figure in figures),
    ]
    if told["skipped"]:
        lines += ["", "Not asked, or not answered:", "", *skipped_lines(told["skipped"])]
    return "\n".join(lines) + "\n"


def skipped_lines(skipped: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """A line for each reason, with all that it explains."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for one in skipped:
        by_reason.setdefault((one["peer"], one["reason"]), []).append(one["name"])
    for (peer, reason), names in by_reason.items():
        yield f"* {peer or 'clbalance'} ({', '.join(names)}): {' '.join(reason.split())}"


def index(documents: Mapping[str, Document]) -> str:
    """The page of all records, the latest first, by file name without its ending."""
    rows = [
        _row(
            [
                f"[{told['date']}]({name}.md)",
                told["machine"]["cpu"],
                told["machine"]["load"],
                told["rounds"],
                _held(told),
            ]
        )
        for name, told in sorted(documents.items(), reverse=True)
    ]
    heads = ("record", "machine", "load average", "rounds", "limits")
    text = f"Made by `make bench RECORD=1`. [How to run and read them](../{_HOW})."
    return (
        "\n".join(["# Records of the benchmarks", "", text, "", _row(heads), _row(["---"] * len(heads)), *rows]) + "\n"
    )


def _held(told: Document) -> str:
    limited = [figure["holds"] for figure in told["figures"] if figure["limit"] is not None]
    return f"{sum(limited)} of {len(limited)} limits hold."


def _row(words: Sequence[object]) -> str:
    return f"| {' | '.join(str(word).replace('|', chr(92) + '|') for word in words)} |"
