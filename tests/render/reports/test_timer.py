"""Units and a crontab line that run what was meant, whatever characters are in it."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clbalance.render.report import json_text
from clbalance.render.reports.admin.timer import TimerReport, allowed_every, timer_parts, unusable
from tests.render.examples.timer import ODD, PLAIN

PRINTABLE = st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), max_codepoint=0x2FFF), max_size=20)


@pytest.mark.parametrize("part", ["service", "timer", "cron"])
def test_one_part_alone_is_its_text_and_nothing_else(part: str) -> None:
    assert replace(PLAIN, parts=(part,)).plain() == timer_parts(PLAIN)[part]


def test_programs_get_the_same_texts() -> None:
    parsed = json.loads(json_text(PLAIN.json()))
    parts = timer_parts(PLAIN)
    assert (parsed["schema"], parsed["every_s"], parsed["cron"]) == (1, 300, parts["cron"])
    assert parsed["timer"] == {"path": "~/.config/systemd/user/clbalance-rebalance.timer", "text": parts["timer"]}


def values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def unquoted(words: str) -> list[str]:
    """As systemd.syntax(7) has it: words, some in double quotes with C's escapes, specifiers resolved."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', words)
    plain = [re.sub(r"\\(.)", r"\1", quoted) if quoted or not bare else bare for quoted, bare in found]
    assert not any(re.search(r"(?<!%)(%%)*%(?!%)", word) for word in plain), "a specifier"
    return [word.replace("%%", "%") for word in plain]


@given(st.tuples(PRINTABLE, PRINTABLE), PRINTABLE, PRINTABLE)
def test_systemd_reads_back_what_was_meant(words: tuple[str, str], path: str, value: str) -> None:
    report = replace(PLAIN, program=(f"/{path}",), arguments=("rebalance", *words), environment={"A": value})
    service = timer_parts(report)["service"]
    program, *arguments = unquoted(values(service, "ExecStart")[0])
    assert program == f"/{path}"
    assert not any(re.search(r"(?<!\$)(\$\$)*\$(?!\$)", word) for word in arguments), "a variable"
    assert [word.replace("$$", "$") for word in arguments] == ["rebalance", *words]
    assert unquoted(values(service, "Environment")[0]) == [f"A={value}"]


def by_cron(line: str, *, collapses: bool) -> str:
    """What cron hands to the shell: crontab(5), and Vixie's do_command.c, of which some make one backslash of two."""
    times, command = re.fullmatch(r"((?:[0-9*/]+ ){5})(.*)\n", line).groups()  # type: ignore[union-attr]
    assert all(re.fullmatch(r"\*|\*/\d+|\d+", one) for one in times.split())
    message, escaped = "", False
    for character in command:
        if escaped:
            if character == "%" or (collapses and character == "\\"):
                message = message[:-1]
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            assert character != "%", "a newline to cron"
        message += character
    return message


@settings(max_examples=15, deadline=None)
@given(st.tuples(PRINTABLE, PRINTABLE), PRINTABLE, st.booleans())
@example(("\\%", "\\\\%%\\"), "'\\%'", True)
@example(("\\%", "\\\\%%\\"), "'\\%'", False)
def test_cron_and_its_shell_read_back_what_was_meant(words: tuple[str, str], value: str, collapses: bool) -> None:
    program = ("/bin/sh", "-c", 'printf "%s\\0" "$PWD" "$A" "$@"', "sh")
    report = replace(PLAIN, program=program, arguments=words, environment={"A": value}, folder="/var/tmp")
    command = by_cron(timer_parts(report)["cron"], collapses=collapses)
    done = subprocess.run(["/bin/sh", "-c", command], env={}, capture_output=True, timeout=120, check=True)
    assert done.stdout.decode().split("\0")[:-1] == ["/var/tmp", value, *words, "--jitter", "30s"]


@pytest.mark.parametrize("every_s", allowed_every())
def test_cron_and_systemd_run_it_as_often(every_s: int) -> None:
    parts = timer_parts(replace(PLAIN, every_s=every_s))
    minute, hour, *rest = by_cron_times(parts["cron"])
    assert rest == ["*", "*", "*"]
    runs = len(expanded(minute, 60)) * len(expanded(hour, 24))
    assert runs * every_s == 86_400
    (jitter,) = values(parts["timer"], "RandomizedDelaySec")
    assert 0 < int(jitter) < every_s
    (calendar,) = values(parts["timer"], "OnCalendar")
    if shutil.which("systemd-analyze"):
        command = ["systemd-analyze", "calendar", "--iterations=2", "--base-time=2026-01-05 00:00:01", calendar]
        message = subprocess.run(
            command, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=120, check=True
        )
        times = re.findall(r"(\d\d):(\d\d):00 UTC", message.stdout)[-2:]
        first, second = (int(hours) * 3600 + int(minutes) * 60 for hours, minutes in times)
        assert (second - first) % 86_400 == every_s % 86_400


def by_cron_times(line: str) -> list[str]:
    return line.split()[:5]


def expanded(times: str, count: int) -> list[int]:
    start, _, step = times.partition("/")
    return list(range(0, count, int(step or 1))) if start == "*" else [int(start)]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("report", [PLAIN, ODD], ids=["plain", "odd"])
def test_systemd_finds_nothing_wrong(report: TimerReport, tmp_path: Path) -> None:
    program = tmp_path / "100%$HOME d" / "clbalance"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    parts = timer_parts(replace(report, program=(str(program),), folder=str(program.parent)))
    files = [tmp_path / f"clbalance-rebalance.{kind}" for kind in ("service", "timer")]
    for file in files:
        file.write_text(parts[file.suffix[1:]])
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", *map(str, files)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "clbalance" not in done.stderr


def test_what_no_line_can_hold_is_found() -> None:
    assert unusable(["rebalance", "it's 100% fine"]) is None
    assert unusable(["rebalance", "two\nlines"]) == "two\nlines"
