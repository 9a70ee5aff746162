"""A report as one HTML page that needs nothing else: no network, no script, no other file.

The policy in its head allows its own style sheet, by its hash, and nothing more: should any text ever get through as
markup, it could still load and run nothing.
"""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Final

from clbalance.render.reports.report.pictures import load_picture, use_picture, waits_picture
from clbalance.render.reports.report.report import Page, UseReport
from clbalance.render.reports.report.sections import Section
from clbalance.render.text import escape_line

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d5dae0;--quiet:#5a6572;--c:#2f6fb2;--g:#b0562a;
--l0:#dbe7f3;--l1:#a9c7e6;--l2:#6f9fd0;--l3:#d99a3c;--l4:#c0392b}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7ec;--paper:#14171b;--line:#39424d;--quiet:#9aa6b4;--c:#6ca8e6;
--g:#e08a5c;--l0:#22303f;--l1:#2c4c6d;--l2:#3f74a8;--l3:#c98a2e;--l4:#e0574a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:16px;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5em}h2{font-size:1.2em;margin:1.6em 0 .4em}h3{font-size:1em;margin:1.3em 0 .4em}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px 3px 0;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--quiet);font-weight:600;font-size:.85em}
.right{text-align:right}
p{margin:.4em 0;color:var(--quiet)}
svg{display:block;font:12px system-ui,sans-serif}
text{fill:var(--ink)}.when{fill:var(--quiet)}.axis{fill:var(--line)}
.c{fill:var(--c)}.g{fill:var(--g)}
.l0{fill:var(--l0)}.l1{fill:var(--l1)}.l2{fill:var(--l2)}.l3{fill:var(--l3)}.l4{fill:var(--l4)}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
_PICTURES: Final = (
    ("Load over time", load_picture),
    ("Utilisation over time", use_picture),
    ("Waits", waits_picture),
)


def html_page(report: UseReport) -> str:
    """The whole page."""
    head = (
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>Report, {escape(_heading(report))}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<h1>Report</h1>",
    )
    body = (line for page in report.pages() for line in _page(page))
    return "\n".join((*head, *body, "</body>", "</html>")) + "\n"


def _heading(report: UseReport) -> str:
    return next(report.pages()).heading


def _page(page: Page) -> Iterator[str]:
    yield f"<h2>{_escaped(page.heading)}</h2>"
    yield from (f"<p>{_escaped(remark)}</p>" for remark in page.remarks)
    for section in page.sections:
        yield from _section(section)
    if page.report is not None:
        for title, picture in _PICTURES:
            if drawn := picture(page.report):
                yield f"<h3>{title}</h3>"
                yield f'<div class="wide" tabindex="0">{drawn}</div>'


def _section(section: Section) -> Iterator[str]:
    yield f"<h3>{_escaped(section.title)}</h3>"
    table = section.table
    if table.rows:
        aligned = [' class="right"' if column.align == "right" else "" for column in table.columns]
        yield '<div class="wide" tabindex="0"><table>'
        headings = (f"<th{kind}>{_escaped(one.heading)}</th>" for kind, one in zip(aligned, table.columns, strict=True))
        yield f"<thead><tr>{''.join(headings)}</tr></thead><tbody>"
        for row in table.rows:
            cells = (f"<td{kind}>{_escaped(cell.text)}</td>" for kind, cell in zip(aligned, row, strict=True))
            yield f"<tr>{''.join(cells)}</tr>"
        yield "</tbody></table></div>"
    yield from (f"<p>{_escaped(note)}</p>" for note in section.notes)


def _escaped(text: str) -> str:
    return escape(escape_line(text))
