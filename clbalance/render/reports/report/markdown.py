"""A report as Markdown (GitHub's tables), for wikis, merge requests and mails."""

import re
from collections.abc import Iterable, Iterator

from clbalance.render.reports.report.report import UseReport
from clbalance.render.table import Table
from clbalance.render.text import escape_line

# What could begin emphasis, code, a link, markup, an entity, a mention, a formula or another column. Bare addresses
# become links as well.
_MEANING = re.compile(r"[\\`*_{}\[\]<>#|&~@$]|:(?=//)|(?<=www)\.")


def markdown_text(report: UseReport) -> str:
    """The whole text."""
    return "\n".join(_lines(report)) + "\n"


def escaped(text: str) -> str:
    """`text` as text, whatever is in it."""
    return _MEANING.sub(r"\\\g<0>", escape_line(text))


def _lines(report: UseReport) -> Iterator[str]:
    yield "# Report"
    for page in report.pages():
        yield from ("", f"## {escaped(page.heading)}")
        for remark in page.remarks:
            yield from ("", escaped(remark))
        for section in page.sections:
            yield from ("", f"### {escaped(section.title)}")
            if section.table.rows:
                yield ""
                yield from _table(section.table)
            for note in section.notes:
                yield from ("", escaped(note))


def _table(table: Table) -> Iterator[str]:
    yield _row(column.heading for column in table.columns)
    yield _row("---:" if column.align == "right" else "---" for column in table.columns)
    for row in table.rows:
        yield _row(escaped(cell.text) for cell in row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
