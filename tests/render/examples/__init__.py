"""What each report is shown with, for goldens and against hostile text: a module here for each of `render/reports/`.

A module has `EXAMPLES`, which are drawn in every form and held as goldens, and `hostile`, which makes reports of any
two texts. test_reports.py fails for a report that is in neither.
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

from clbalance.render.format import Format
from clbalance.render.report import Display, Report

DISPLAYS = {
    "80": Display(form=Format.HUMAN, width=80),
    "140": Display(form=Format.HUMAN, width=140),
    "pipe": Display(form=Format.HUMAN),
    "json": Display(form=Format.JSON),
    "plain": Display(form=Format.PLAIN),
}


@dataclass(frozen=True)
class Example:
    """Reports that are shown one after the other; `files` names goldens that several forms share."""

    name: str
    reports: tuple[Report, ...]
    files: Mapping[str, str] | None = None
    beside: str = ""
    """What is said on standard error with them; held with the golden for a pipe."""

    def file(self, form: str) -> str:
        """The golden of a form."""
        own = f"{self.name}-{form}.{'json' if form == 'json' else 'txt'}"
        return own if self.files is None else self.files.get(form, own)


def one_file(name: str, *forms: str) -> dict[str, str]:
    """The same golden for all these forms."""
    return dict.fromkeys(forms or DISPLAYS, name)


@dataclass(frozen=True)
class Examples:
    """Those of one module."""

    module: str
    examples: tuple[Example, ...]
    hostile: Callable[[str, str], list[Report]]


def all_examples() -> Iterator[Examples]:
    """Of every module beside this one."""
    for found in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{found.name}")
        yield Examples(module=found.name, examples=module.EXAMPLES, hostile=module.hostile)
