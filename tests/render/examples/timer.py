"""A timer with nothing odd about it, and one whose words mean something to systemd, cron or a shell."""

from dataclasses import replace

from clbalance.render.report import Report
from clbalance.render.reports.admin.timer import TimerReport
from tests.render.examples import Example, one_file

PLAIN = TimerReport(
    program=("/opt/clbalance/bin/clbalance",),
    arguments=("rebalance", "-g", "gpu-nodes", "--apply", "-q"),
    every_s=300,
    environment={},
    folder=None,
    units="~/.config/systemd/user",
)
ODD = replace(
    PLAIN,
    program=("/home/a n%n/100%$HOME/clbalance",),
    arguments=("rebalance", "-g", "a$b'%\"\\", "--apply", "-q"),
    environment={"CLBALANCE_CONFIG": '/x y/%h$z"q\\'},
    folder="/srv/50% off",
)
EXAMPLES = tuple(
    Example(name, (report,), one_file(f"{name}.txt", "80", "140", "pipe", "plain"))
    for name, report in (("config-timer", PLAIN), ("config-timer-odd", ODD))
)


def hostile(one: str, other: str) -> list[Report]:
    # What is not printable is refused before (`unusable`).
    first, second = ("".join(filter(str.isprintable, text)) for text in (one, other))
    report = replace(PLAIN, program=(first,), arguments=(second,), environment={"A": first}, folder=second)
    return [report, replace(report, parts=("cron",))]
