"""The output of the site's own programs on a node: external indices and health checks. Pure.

What a program prints is never trusted: only names that are its own count, and only numbers within the bounds of their
units. Everything else is unknown, with the reason.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.model.plugins import (
    CheckResult,
    CheckState,
    ExternalUnit,
    ExternalValue,
    IndexSource,
    NodeProgram,
    SitePrograms,
    SiteReading,
)
from clbalance.probe.frame import Section, words_of
from clbalance.probe.site_programs import MOST_OUTPUT_BYTES, section_of

_EXIT = re.compile(r"exit ([0-9]{1,3})")
_NUMBER = re.compile(r"[-+]?[0-9]{1,20}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?")
_BOUNDS = {
    ExternalUnit.NUMBER: (-1e15, 1e15),
    ExternalUnit.PERCENT: (0.0, 100.0),
    ExternalUnit.BYTES: (0.0, float(1 << 60)),
}
_MOST_REMARKS = 3
_NOT_RUN = {126: "cannot be executed", 127: "is not there, or its interpreter is not"}


@dataclass(frozen=True, slots=True)
class _Output:
    """What a program printed, and its exit code."""

    text: str
    rc: int


def parse_site(sections: Mapping[str, Section], site: SitePrograms, skipped: Mapping[str, str]) -> SiteReading:
    """What the programs said. `skipped`: sections that were not asked for this time, with the reasons."""
    outputs = [_output(sections, at, program, skipped) for at, program in enumerate(site.programs)]
    checks = tuple(_checked(name, outputs[at]) for name, at in site.checks)
    return SiteReading(
        values=tuple(ExternalValue(one.index, _value(one, outputs[one.program])) for one in site.indices),
        checks=checks,
        remarks=tuple(_remarks(site, outputs)),
    )


def hung_sections(sections: Mapping[str, Section], site: SitePrograms) -> frozenset[str]:
    """The sections of programs that did not end in time."""
    names = map(section_of, range(len(site.programs)))
    return frozenset(name for name in names if name in sections and sections[name].status is None)


def _output(
    sections: Mapping[str, Section], position: int, program: NodeProgram, skipped: Mapping[str, str]
) -> _Output | Unknown:
    name = section_of(position)
    section = sections.get(name)
    if section is None:
        return Unknown(reason=skipped.get(name, "not asked for"))
    if section.status is None:
        return Unknown(reason=f"did not end within {program.timeout_s} s")
    text, _, last = section.text.rstrip("\n").rpartition("\n")
    ended = _EXIT.fullmatch(last)
    if ended is None or len(text) > MOST_OUTPUT_BYTES:
        return Unknown(reason=_why_cut_off(section, program))
    rc = int(ended[1])
    if rc in _NOT_RUN:
        return Unknown(reason=f"{program.path or 'the program'} {_NOT_RUN[rc]}")
    return _Output(text, rc)


def _why_cut_off(section: Section, program: NodeProgram) -> str:
    text = section.text.strip()
    if program.path and text == "missing":
        return f"there is no {program.path}"
    if program.path and text == "refused":
        return (
            f"{program.path} must be a regular file of root, in folders of root, that only root can write to; no links"
        )
    if section.status == "0":
        return f"printed more than {MOST_OUTPUT_BYTES >> 10} KiB"
    return "could not be run: `setsid` and `head` are needed there"


# -- indices: lines `name value`


def _value(source: IndexSource, output: _Output | Unknown) -> float | Unknown:
    if isinstance(output, Unknown):
        return output
    if source.is_perfdata:
        found = [value for label, value in _performance(output.text) if label == source.field]
    elif output.rc:
        said = words_of(output.text, most=60)
        return Unknown(reason=f"ended with exit code {output.rc}" + (f": {said}" if said else ""))
    else:
        found = [value for name, value in _pairs(output.text) if name == source.field]
    if len(found) != 1:
        how = "did not print" if not found else "printed twice"
        return Unknown(reason=f"{how} {words_of(source.field)}")
    return _number(found[0], source.index.unit)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The first word of each line and the rest."""
    for line in text.split("\n"):
        if words := line.split(None, 1):
            yield words[0], words[1].strip() if len(words) > 1 else ""


def _number(text: str, unit: ExternalUnit) -> float | Unknown:
    said = words_of(text, most=40)
    if not _NUMBER.fullmatch(text):
        return Unknown(reason=f"printed {said or 'nothing'}, which is not a number")
    number = float(text)
    least, most = _BOUNDS[unit]
    if not least <= number <= most:
        return Unknown(reason=f"printed {said}, which is not from {least:g} to {most:g}")
    return number


def _remarks(site: SitePrograms, outputs: Sequence[_Output | Unknown]) -> Iterator[str]:
    """What programs of indices printed that is not their own."""
    own: dict[int, set[str]] = {}
    for source in site.indices:
        if not source.is_perfdata:
            own.setdefault(source.program, set()).add(source.field)
    for at, names in own.items():
        output = outputs[at]
        if isinstance(output, Unknown) or output.rc:
            continue
        others = dict.fromkeys(words_of(name, most=40) for name, _ in _pairs(output.text) if name not in names)
        for name in list(others)[:_MOST_REMARKS]:
            yield f"{site.programs[at].name} printed {name}, which is not its own name"


# -- health checks: an exit code, and `text | performance data`

# What is no label is passed over word by word, so that no text makes it look far ahead again and again.
_LABELLED = re.compile(r"(?:'((?:[^']|'')*+)'|([^\s'=]++))=(\S*)|\S+")
_MEASURED = re.compile(r"([-+]?[0-9.eE+-]+)([A-Za-z%]*)(?:;.*)?")
_FACTORS = {"": 1.0, "%": 1.0, "c": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "b": 1.0}
_FACTORS |= {f"{prefix}b": 1024.0**power for power, prefix in enumerate("kmgtp", start=1)}
"""What units of performance data are multiplied with, by their lower-case names: to seconds and bytes."""


def _checked(name: str, output: _Output | Unknown) -> CheckResult:
    if isinstance(output, Unknown):
        return CheckResult(name, CheckState.UNKNOWN, output.reason)
    text = words_of(output.text.partition("|")[0])
    if output.rc > CheckState.UNKNOWN.value:
        said = f"ended with exit code {output.rc}"
        return CheckResult(name, CheckState.UNKNOWN, f"{said}: {text}" if text else said)
    return CheckResult(name, CheckState(output.rc), text)


def _performance(text: str) -> Iterator[tuple[str, str]]:
    """Labels and values of the performance data, in base units; a value that makes no sense as it is."""
    parts = [line.partition("|")[2] for line in text.split("\n")]
    for found in _LABELLED.finditer(" ".join(parts)):
        if found[3] is not None:
            label = found[2] if found[1] is None else found[1].replace("''", "'")
            yield label, _in_base_units(found[3])


def _in_base_units(value: str) -> str:
    measured = _MEASURED.fullmatch(value)
    if measured is None or not _NUMBER.fullmatch(measured[1]) or measured[2].lower() not in _FACTORS:
        return value
    return f"{float(measured[1]) * _FACTORS[measured[2].lower()]:.15g}"
