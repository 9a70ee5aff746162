"""Findings of `doctor` about the site's own programs on one node. Pure."""

from collections.abc import Iterator
from typing import Final

from clbalance.model import Unknown
from clbalance.model.checkup import Finding, note, wrong
from clbalance.model.plugins import CheckState, SiteReading

_SEE_INDEX: Final = "run the program of `[index.{name}]` there by hand: it must print lines `name value` and end with 0"
_SEE_CHECK: Final = "run the program of `[check.{name}]` there by hand"


def site_findings(site: SiteReading) -> Iterator[Finding]:
    """Failed health checks, programs that did not do what they should, and what they printed that is not theirs."""
    for check in site.checks:
        hint = _SEE_CHECK.replace("{name}", check.name)
        if check.state is CheckState.CRITICAL:
            yield wrong("check", f"{check.message}: no job is placed there", hint)
        elif check.state is not CheckState.OK:
            yield note("check", check.message, hint)
    for one in site.values:
        if isinstance(one.value, Unknown):
            name = one.index.name
            yield note("index", f"index {name} is unknown: {one.value.reason}", _SEE_INDEX.replace("{name}", name))
    for remark in site.remarks:
        yield note("index", remark, "give it an `[index.NAME]` with the same program, or leave it out of the output")
