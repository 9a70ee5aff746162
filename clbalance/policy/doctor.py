"""Findings about a node or this host, from its check-up. Pure."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from clbalance.model import Cause, Silent, Unknown
from clbalance.model.checkup import (
    Checkup,
    Examination,
    Examined,
    Finding,
    Logind,
    Python,
    Severity,
    SshdLimits,
    note,
    wrong,
)
from clbalance.policy.hints import HINTS
from clbalance.policy.job_folder import folder_findings
from clbalance.policy.job_obstacles import reading_findings
from clbalance.policy.site.findings import site_findings
from clbalance.units import counted

_LEAST_PYTHON = (3, 6)
_CLOCK_WRONG_S = 30.0
_CLOCK_NOTED_S = 2.0
_INPUT = (
    "`echo one | ssh {node} cat` should print `one`; look in ~/.bashrc and the like there for `read`, `cat` or `ssh` "
    "without `</dev/null`"
)
# OpenSSH's own defaults (sshd_config(5)).
_USUAL_SESSIONS = 10
_USUAL_STARTUPS = 10


def node_findings(examination: Examination) -> tuple[Finding, ...]:
    """All findings about one node."""
    match examination:
        case Silent(node=node):
            found: Iterable[Finding] = (silent_finding(examination),)
        case Examined(node=node, checkup=checkup, reading=reading, clock_offset_s=offset_s, site=site):
            found = [*_checkup(checkup), *reading_findings(reading), *_clock(offset_s), *site_findings(site)]
        case _:
            assert_never(examination)
    return tuple(replace(one, node=node) for one in found)


_NEEDED = frozenset({"boot_id", "node_dir", "python", "reach"})


def may_take_jobs(examination: Examination) -> bool:
    """Whether nothing was found for which the node would have to refuse every job."""
    found = node_findings(examination)
    return not any(one.severity is Severity.WRONG and one.check in _NEEDED for one in found)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """`WRONG` findings first, then notes; otherwise in the given order."""
    return tuple(sorted(findings, key=lambda one: one.severity is Severity.NOTE))


def _checkup(checkup: Checkup) -> Iterator[Finding]:
    if not checkup.input_is_whole:
        yield wrong("login", "a start-up file of the login shell there reads standard input: no job can start", _INPUT)
    if isinstance(checkup.missing_home, Unknown):
        what = f"whether your home there exists is unknown: {checkup.missing_home.reason}"
        yield note("login", what, "`ssh {node} ls -ld '~'` shows it, or hangs as well")
    elif checkup.missing_home:
        what = f"your home there, {checkup.missing_home}, does not exist: jobs without `--chdir` may run in /"
        yield note("login", what, "`ssh {node} ls -ld '~'`; `mkhomedir_helper`, or a mount, brings it back")
    yield from folder_findings(checkup.folders, checkup.uid)
    yield from _python(checkup.python)
    yield from logind_findings(checkup.logind)
    yield from _sshd(checkup.sshd)


def _python(found: Python | Unknown | None) -> Iterator[Finding]:
    install = "install 3.6 or newer, as root there: `apt install python3` or `dnf install python3`"
    match found:
        case None:
            yield wrong("python", "no python3 on the PATH: jobs need one", install)
        case Unknown(reason=reason):
            what = f"python3 is unknown, and jobs need one: {reason}"
            yield wrong("python", what, "`ssh {node} python3 -I -S -c 1` shows it, or hangs as well")
        case Python(path=path, version=Unknown(reason=reason)):
            yield wrong("python", f"{path} does not work: {reason}", "`ssh {node} python3 -I -S -c 1` shows it")
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
        most = f"sshd allows {counted(sessions, 'session')} on one connection"
        what = f"{most}: calls that share one (ControlMaster) are refused"
        yield judge("sshd", what, f"`MaxSessions {_USUAL_SESSIONS}` {where}")
    if startups is not None and startups < _USUAL_STARTUPS:
        what = f"sshd refuses some logins when {startups} or more are in progress"
        yield note("sshd", what, f"`MaxStartups 100:30:200` {where}")


def _clock(offset_s: float | Unknown) -> Iterator[Finding]:
    if isinstance(offset_s, Unknown):
        yield note("clock", f"its clock is unknown: {offset_s.reason}", "`ssh {node} date` shows it")
    elif abs(offset_s) > _CLOCK_NOTED_S:
        judge = wrong if abs(offset_s) > _CLOCK_WRONG_S else note
        way = "ahead of" if offset_s > 0 else "behind"
        hint = "`chronyc tracking` or `timedatectl`, there and here, shows which of the two is off"
        yield judge("clock", f"its clock is {abs(offset_s):.0f} s {way} this host's", hint)


# -- a node that did not answer

# Causes whose reason only adds node and address, which would make equal findings of several nodes differ.
_SAYS_IT_ALL = frozenset(
    {
        *(Cause.DNS, Cause.UNREACHABLE, Cause.REFUSED, Cause.HUNG, Cause.TIMEOUT, Cause.THROTTLED, Cause.PENALISED),
        *(Cause.HOSTKEY_CHANGED, Cause.HOSTKEY_UNKNOWN, Cause.AUTH),
    }
)


def silent_finding(silent: Silent) -> Finding:
    """The finding about a silent node; nothing works there until it is fixed."""
    what = silent.cause.value if silent.cause in _SAYS_IT_ALL else silent.cause.because(silent.reason)
    return wrong("reach", what, HINTS[silent.cause])


# -- whether a node kills a user's processes at logout, jobs included

_CHECK = "logind"
_ALLOW = "`KillUserProcesses=no` in /etc/systemd/logind.conf there, as root"


def logind_findings(found: Logind | Unknown | None) -> Iterator[Finding]:
    """`KillUserProcesses` kills the session's processes; lingering keeps those under the user's own systemd."""
    match found:
        case None | Logind(kills_user_processes=False):
            pass
        case Unknown(reason=reason) | Logind(kills_user_processes=Unknown(reason=reason)):
            see = "`ssh {node} systemd-analyze cat-config systemd/logind.conf` shows `KillUserProcesses`"
            yield note(_CHECK, f"whether jobs outlive a logout is unknown: {reason}", see)
        case Logind(lingers=True):
            what = "logind ends what a login leaves (KillUserProcesses=yes), but not what runs under your own systemd"
            yield note(_CHECK, what, _ALLOW)
        case Logind():
            what = "logind kills jobs at logout (KillUserProcesses=yes, and you do not linger)"
            yield wrong(_CHECK, what, f"`ssh {{node}} loginctl enable-linger`, or {_ALLOW}")
        case _:
            assert_never(found)


# -- the host that clbalance runs on

_OPENSSH = re.compile(r"OpenSSH_[0-9]")
_SHOWN_GROUPS = 10


def ssh_findings(version: str | None) -> Iterator[Finding]:
    """`version`: the output of `ssh -V`; None: there is no such program, empty: it does not run."""
    if version is None:
        yield wrong("ssh", "`ssh` is not on the PATH", "install OpenSSH's client (`openssh-client`)")
    elif not version:
        yield wrong("ssh", "`ssh -V` does not run", "`type -a ssh` shows which program that is")
    elif not _OPENSSH.match(version):
        what = f"`ssh` is not OpenSSH's ({version[:60]}): nodes will answer, but failures are not told apart"
        yield note("ssh", what, "put OpenSSH's client (`openssh-client`) first on the PATH")


def open_files_findings(sessions: int, fanout: int) -> Iterator[Finding]:
    """`sessions`: how many fit into the hard limit on open files; more than that wait for their turn."""
    if sessions < fanout:
        what = f"the limit on open files allows {counted(sessions, 'session')} at once, and the fanout is {fanout}"
        yield note("open_files", what, "`ulimit -Hn` shows it; raise `nofile` in /etc/security/limits.conf, as root")


def group_findings(empty: Sequence[str], unusable: Mapping[str, str]) -> Iterator[Finding]:
    """`empty`: groups without nodes; `unusable`: by group why it cannot be used."""
    for group, reason in unusable.items():
        shown = f"`nodeset -f {shlex.quote(f'@{group}')}` shows what it says"
        yield wrong("groups", f"group `{group}` cannot be used: {reason}", shown)
    if empty:
        more = f" and {len(empty) - _SHOWN_GROUPS} more" if len(empty) > _SHOWN_GROUPS else ""
        what = f"groups that name no node: {', '.join(empty[:_SHOWN_GROUPS])}{more}"
        yield note("groups", what, "`nodeset -ll` shows all groups with their nodes")
