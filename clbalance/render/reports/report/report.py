"""`report`: what a period was worth, or two periods side by side; for people, in plain lines, as JSON."""

from collections.abc import Iterator

from clbalance.lazy_dataclass import dataclass
from clbalance.model.report import Change, PeriodReport
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.reports.report.documents import change_document, change_rows, document, rows
from clbalance.render.reports.report.sections import Section, changes_section, heading, remarks, sections
from clbalance.render.text import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class UseReport(Report):
    """The report on a period; with `before`, also on the period before it, and what has changed."""

    report: PeriodReport
    before: PeriodReport | None = None
    changes: tuple[Change, ...] = ()

    def human(self, display: Display) -> str:
        """Each section with its title; the last column of a table is never cut."""
        parts = []
        for page in self.pages():
            parts.append("".join(f"{line}\n" for line in (page.heading, *page.remarks)))
            for section in page.sections:
                table = display.table(section.table, last="fold") if section.table.rows else ""
                notes = "".join(f"{note}\n" for note in section.notes)
                parts.append(f"{section.title}\n{table}{notes}")
        return "\n".join(parts)

    def plain(self) -> str:
        """The `REPORT_FIELDS` of each figure."""
        return plain_lines(self.rows())

    def json(self) -> dict[str, Json]:
        """One report; or two, and the changes."""
        if self.before is None:
            return document(self.report)
        return {
            "before": document(self.before),
            "after": document(self.report),
            "changes": [change_document(change) for change in self.changes],
        }

    def rows(self) -> Iterator[tuple[Json, ...]]:
        """The `REPORT_FIELDS` of each figure."""
        if self.before is None:
            yield from rows(self.report, "period")
            return
        yield from rows(self.before, "before")
        yield from rows(self.report, "after")
        yield from change_rows(self.changes)

    def pages(self) -> Iterator["Page"]:
        """The parts of the page: the changes, and each period."""
        if self.before is None:
            yield _page(self.report, "")
            return
        compared = changes_section(self.changes, self.report.currency)
        yield Page(heading=f"until {self.report.period.since:%Y-%m-%d %H:%M %Z}, and since", sections=(compared,))
        yield _page(self.before, "before: ")
        yield _page(self.report, "after: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of the page with its own heading. `report`: the period that it shows, for pictures."""

    heading: str
    remarks: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    report: PeriodReport | None = None


def _page(report: PeriodReport, word: str) -> Page:
    made = () if report.is_empty else sections(report)
    return Page(heading=f"{word}{heading(report)}", remarks=tuple(remarks(report)), sections=made, report=report)
