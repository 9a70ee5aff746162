"""What is wrong with a node, from what it told of itself: values to findings. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import assert_never

from clbalance.checkup import Checkup, Examination, Examined, Finding, Python, Severity, SshdLimits, note, wrong
from clbalance.model import Silent, Unknown
from clbalance.policy.health_folder import folder_findings
from clbalance.policy.health_logind import logind_findings
from clbalance.policy.health_silent import silent_finding

_LEAST_PYTHON = (3, 6)
_CLOCK_WRONG_S = 30.0
_CLOCK_NOTED_S = 2.0
# OpenSSH's own defaults (sshd_config(5)).
_USUAL_SESSIONS = 10
_USUAL_STARTUPS = 10


def node_findings(examination: Examination) -> tuple[Finding, ...]:
    """Everything that is wrong with one node or worth knowing."""
    match examination:
        case Silent(node=node):
            found: Iterable[Finding] = (silent_finding(examination),)
        case Examined(node=node, checkup=checkup, clock_offset_s=offset_s):
            found = [*_checkup(checkup), *_clock(offset_s)]
        case _:
            assert_never(examination)
    return tuple(replace(one, node=node) for one in found)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Wrong before notes, otherwise as they come."""
    return tuple(sorted(findings, key=lambda one: one.severity is Severity.NOTE))


def _checkup(checkup: Checkup) -> Iterator[Finding]:
    yield from folder_findings(checkup.folders, checkup.uid)
    yield from _python(checkup.python)
    yield from logind_findings(checkup.logind)
    yield from _sshd(checkup.sshd)


def _python(found: Python | Unknown | None) -> Iterator[Finding]:
    install = "install 3.6 or newer, as root there: `apt install python3` or `dnf install python3`"
    match found:
        case None:
            yield wrong("python", "no python3 on the PATH: jobs need one", install)
        case Unknown(why=why):
            yield note("python", f"python3 is unknown: {why}", "`ssh {node} command -v python3` shows it")
        case Python(path=path, version=Unknown(why=why)):
            yield wrong("python", f"{path} does not work: {why}", "`ssh {node} python3 -I -S -c 1` shows it")
        case Python(path=path, version=(major, minor, _)) if (major, minor) < _LEAST_PYTHON:
            yield wrong("python", f"{path} is Python {major}.{minor}, and jobs need 3.6", install)
        case Python():
            pass
        case _:
            assert_never(found)


def _sshd(limits: SshdLimits) -> Iterator[Finding]:
    sessions, startups = limits.max_sessions, limits.max_startups
    where = "in /etc/ssh/sshd_config there, then `systemctl reload ssh`, as root"
    if sessions is not None and sessions < _USUAL_SESSIONS:
        judge = note if sessions else wrong
        what = f"sshd allows {sessions} sessions on one connection: calls that share one (ControlMaster) are refused"
        yield judge("sshd", what, f"`MaxSessions {_USUAL_SESSIONS}` {where}")
    if startups is not None and startups < _USUAL_STARTUPS:
        what = f"sshd begins to refuse logins when {startups} are being made at once"
        yield note("sshd", what, f"`MaxStartups 100:30:200` {where}")


def _clock(offset_s: float | Unknown) -> Iterator[Finding]:
    if isinstance(offset_s, Unknown):
        yield note("clock", f"its clock is unknown: {offset_s.why}", "`ssh {node} date` shows it")
    elif abs(offset_s) > _CLOCK_NOTED_S:
        judge = wrong if abs(offset_s) > _CLOCK_WRONG_S else note
        way = "ahead of" if offset_s > 0 else "behind"
        hint = "`chronyc tracking` or `timedatectl`, there and here, shows which of the two is off"
        yield judge("clock", f"its clock is {abs(offset_s):.0f} s {way} this host's", hint)
