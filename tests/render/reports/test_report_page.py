"""The HTML page of `report` in a browser: at the width of a phone and of a desk, in light and dark."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.render.reports.report.html_page import html_page
from clbalance.render.reports.report.report import UseReport
from tests.render.examples.use_report import BOTH, hostile_week
from tests.render.reports.browser import Page, browser

MARKUP = "<img src=http://127.0.0.1:9/x onerror=alert(1)><script>alert(2)</script>" + "x" * 200
PHONE, DESK = (360, 740), (1440, 900)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def written(folder: Path, report: UseReport) -> Path:
    path = folder / "report.html"
    path.write_text(html_page(report))
    return path


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize(
    "report", [BOTH, UseReport(report=hostile_week(MARKUP, MARKUP))], ids=["two periods", "hostile names"]
)
def test_the_page_fits_asks_for_nothing_and_complains_of_nothing(
    page: Page, tmp_path: Path, size: tuple[int, int], report: UseReport
) -> None:
    path = written(tmp_path, report)
    page.open(path, width=size[0], height=size[1])
    assert page.value("document.documentElement.scrollWidth") <= size[0]
    assert page.value(
        "[...document.querySelectorAll('.wide')].every(one => one.getBoundingClientRect().right <= innerWidth)"
    )
    assert page.value("document.querySelectorAll('svg rect').length") > 0
    assert page.value("[...document.querySelectorAll('td')].every(one => one.getBoundingClientRect().height >= 16)")
    asked = [one["request"]["url"] for one in page.told("Network.requestWillBeSent")]
    assert asked == [path.as_uri()], "the page itself, and nothing else"
    assert page.told("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    assert page.told("Page.javascriptDialogOpening") == []
    assert page.value("document.querySelectorAll('script, img').length") == 0


def test_the_style_sheet_is_applied_in_light_and_dark(page: Page, tmp_path: Path) -> None:
    path, colours = written(tmp_path, BOTH), []
    for dark in (False, True):
        page.open(path, width=800, height=600, dark=dark)
        colours.append(page.value("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_a_script_that_got_into_the_page_would_not_run(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    text = html_page(BOTH).replace("<h1>", "<script>document.title = 'run'</script><img src='data:,x'><h1>")
    path.write_text(text)
    page.open(path, width=800, height=600)
    assert page.value("document.title") != "run"
    assert page.value("document.querySelectorAll('script').length") == 1, "so this test could have failed"
    assert page.told("Log.entryAdded"), "and the browser says what it has refused"
