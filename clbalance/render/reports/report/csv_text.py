"""A report as CSV (RFC 4180): a line for each figure. A cell that a spreadsheet would take for a formula is text."""

import csv
import io

from clbalance.render.reports.report.documents import REPORT_FIELDS
from clbalance.render.reports.report.report import UseReport
from clbalance.render.text import Json, escape_line

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets take the wide forms too


def csv_text(report: UseReport) -> str:
    """The text, with a heading. What is not known is an empty cell."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(REPORT_FIELDS)
    lines.writerows([csv_cell(value) for value in row] for row in report.rows())
    return text.getvalue()


def csv_cell(value: Json) -> str | int | float:
    """Numbers as they are; text without control characters, and behind a `'` if it could be a formula."""
    match value:
        case None:
            return ""
        case int() | float():
            return value
        case _:
            # Looked at before and after: an escape must not hide how a text began.
            text = escape_line(str(value))
            return f"'{text}" if str(value).startswith(_FORMULA) or text.startswith(_FORMULA) else text
