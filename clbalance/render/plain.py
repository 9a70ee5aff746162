r"""Plain lines for shell loops: no heading, fields separated by tabs, `-` for unknown, plain numbers.

`while IFS=$'\t' read -r node state …` needs no heading to skip, and `wc -l` counts nodes (as with `sinfo -h` and
`squeue -h`). The fields never change their place; new ones come last.
"""

from collections.abc import Iterable

from clbalance.render.text import DASH, Json, escape_line, finite


def plain_lines(rows: Iterable[Iterable[Json]]) -> str:
    """One line for each row; a list is shown as the number of its items."""
    return "".join("\t".join(map(_field, fields)) + "\n" for fields in rows)


def _field(value: Json) -> str:
    match value:
        case None | "":
            return DASH
        case float():
            return (
                DASH if finite(value) is None else f"{value:.12g}"
            )  # 12 digits: no 0.30000000000000004, and no loss that a load index shows
        case list():
            return str(len(value))
        case _:
            return escape_line(str(value))
