"""`config timer`: a systemd service and timer, and a crontab line, that run the same command; nothing is installed.

Each has its own quoting. For units it is in systemd.syntax(7) and systemd.service(5): `%` and `$` are special. For
cron it is in crontab(5): a `%` is a newline, even within quotes.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.render.report import Display, Report
from clbalance.render.text import Json

NAME: Final = "clbalance-rebalance"
_PLAIN: Final = re.compile(r"[A-Za-z0-9@/_.:,=+-]+")
_MINUTES: Final = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
_HOURS: Final = (1, 2, 3, 4, 6, 8, 12)
_LONGEST_JITTER_S: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerReport(Report):
    """The command to run, how often, and the folder of the units."""

    program: tuple[str, ...]
    """The path of the program, and its words before the verb."""
    arguments: tuple[str, ...]
    every_s: int
    """One of `allowed_every`."""
    environment: Mapping[str, str]
    """Variables that must be set, so that it works as in this shell."""
    folder: str | None
    """The working directory; None: any."""
    units: str
    """The folder of the user's units."""
    parts: tuple[str, ...] = ("service", "timer", "cron")

    def human(self, display: Display) -> str:
        return self.plain()

    def plain(self) -> str:
        """The parts, each under a comment with its place; a single part is printed without comments."""
        texts = timer_parts(self)
        return texts[self.parts[0]] if len(self.parts) == 1 else _all_parts(self.units, texts)

    def json(self) -> dict[str, Json]:
        texts = timer_parts(self)
        return {
            "service": {"path": f"{self.units}/{NAME}.service", "text": texts["service"]},
            "timer": {"path": f"{self.units}/{NAME}.timer", "text": texts["timer"]},
            "cron": texts["cron"],
            "every_s": self.every_s,
        }


def allowed_every() -> tuple[int, ...]:
    """The intervals, in seconds, that a crontab can express exactly: they divide an hour or a day."""
    return (*(60 * number for number in _MINUTES), *(3600 * number for number in _HOURS), 86_400)


def _all_parts(units: str, texts: Mapping[str, str]) -> str:
    service, timer = (f"{units}/{NAME}.{kind}" for kind in ("service", "timer"))
    return (
        f"# {service}\n{texts['service']}\n# {timer}\n{texts['timer']}\n"
        "# To start it:\n"
        "#   systemctl --user daemon-reload\n"
        f"#   systemctl --user enable --now {NAME}.timer\n"
        "#   loginctl enable-linger        # so that it runs while you are not logged in\n"
        f"# What it did:  journalctl --user -u {NAME}\n"
        "# ssh must get in there without an agent and a passphrase: `env -i HOME=~ ssh -o BatchMode=yes NODE true`\n"
        f"# To end it:    systemctl --user disable --now {NAME}.timer\n\n"
        f"# Or, in the place of both, a line for `crontab -e`:\n{texts['cron']}"
    )


def timer_parts(report: TimerReport) -> dict[str, str]:
    """The texts of `service`, `timer` and `cron`."""
    return {"service": _service(report), "timer": _timer(report), "cron": _cron(report)}


def _service(report: TimerReport) -> str:
    words = [_unit_word(report.program[0]), *(_unit_argument(word) for word in report.program[1:] + report.arguments)]
    settings = [f"Environment={_unit_word(f'{name}={text}')}" for name, text in report.environment.items()]
    folder = [] if report.folder is None else [f"WorkingDirectory={report.folder.replace('%', '%%')}"]
    return "\n".join(
        [
            "[Unit]",
            "Description=Keep the load of nodes level (clbalance)",
            "",
            "[Service]",
            "Type=oneshot",
            *settings,
            *folder,
            f"ExecStart={' '.join(words)}",
            "# 75: another run was under way",
            "SuccessExitStatus=75",
            "TimeoutStartSec=1h",
            "# What a run leaves behind to follow a job outlives the run",
            "KillMode=process",
            "Nice=10",
            "",
        ]
    )


def _timer(report: TimerReport) -> str:
    return "\n".join(
        [
            "[Unit]",
            f"Description=Run clbalance rebalance every {_in_words(report.every_s)}",
            "",
            "[Timer]",
            f"OnCalendar={_calendar(report.every_s)}",
            "# Many hosts shall not ask the same nodes at the same moment",
            f"RandomizedDelaySec={_jitter_s(report)}",
            "# One run after a time without power, in the place of those that were missed",
            "Persistent=true",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _cron(report: TimerReport) -> str:
    """The crontab line."""
    setting = [f"{name}={shlex.quote(text)}" for name, text in report.environment.items()]
    words = [*report.program, *report.arguments, "--jitter", f"{_jitter_s(report)}s"]
    command = " ".join([*setting, "nice", "-n", "10", *map(shlex.quote, words)])
    if report.folder is not None:
        command = f"cd {shlex.quote(report.folder)} && {command}"
    return f"{_cron_times(report.every_s)} {_cron_escaped(command)}\n"


def _cron_escaped(command: str) -> str:
    """Escape `%` by a backslash. Cron removes a backslash before `%`, even in quotes; some also one before a backslash.

    So a backslash of the command itself must not come before either. All of them are in single quotes: end the quotes
    after each, and begin them again.
    """
    return command.replace("\\", "\\''").replace("%", "\\%")


def _jitter_s(report: TimerReport) -> int:
    return min(_LONGEST_JITTER_S, report.every_s // 4)


def _unit_argument(text: str) -> str:
    """A word of ExecStart: only there, `$` begins a variable."""
    return _unit_word(text.replace("$", "$$"))


def _unit_word(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _calendar(every_s: int) -> str:
    if every_s < 3600:
        return f"*:0/{every_s // 60}"
    return f"0/{every_s // 3600}:00" if every_s < 86_400 else "*-*-* 00:00"


def _cron_times(every_s: int) -> str:
    if every_s < 3600:
        return f"*/{every_s // 60} * * * *"
    return f"0 */{every_s // 3600} * * *" if every_s < 86_400 else "0 0 * * *"


def _in_words(every_s: int) -> str:
    return f"{every_s // 60} min" if every_s < 3600 else f"{every_s // 3600} h"


def unusable(words: Sequence[str]) -> str | None:
    """The first of `words` that cannot be in a unit or a crontab: it has a newline or another control character."""
    return next((word for word in words if not word.isprintable()), None)
