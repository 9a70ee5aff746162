"""An upcall of a group source has limits, and when it breaks them nothing of it is left."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from clbalance.errors import SettingsError
from clbalance.nodeset import NodeSets
from clbalance.transport.group_check import look_at_groups
from clbalance.transport.group_sources import Upcalls
from clbalance.transport.groups import load_groups
from clbalance.transport.programs.upcall import UpcallLimitError, UpcallResult, run_upcall
from tests.waiting import SOON_S, eventually


def left() -> list[list[str]]:
    """The command lines of our children, theirs included."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # gone meanwhile, or dead
            found.append(child.cmdline())
    return [words for words in found if words]


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("echo n1; echo oops >&2; exit 3", UpcallResult(3, "n1\n", "oops\n")),
        ("printf 'n\\377'", UpcallResult(0, "n\ufffd", "")),
        ("cat", UpcallResult(0, "", "")),
        ("head -c 1000000 /dev/zero | tr '\\0' x", UpcallResult(0, "x" * 1_000_000, "")),
        ("kill -9 $$", UpcallResult(-9, "", "")),
    ],
    ids=["all that it says", "bytes that are no text", "no input", "much", "killed"],
)
def test_the_end_of_a_command_is_told(command: str, result: UpcallResult) -> None:
    assert run_upcall(command, "/") == result


def test_a_process_that_keeps_the_output_open_is_not_waited_for() -> None:
    sleeper = int(run_upcall("sleep 1000 & echo $!", "/").stdout)
    os.kill(sleeper, signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("sleep 1000", "has not ended within 0.5 s"),
        ("trap '' TERM INT HUP; sleep 1000; sleep 1000", "has not ended within 0.5 s"),
        ("sleep 1000 & sleep 1000 | cat", "has not ended within 0.5 s"),
        ("exec >&- 2>&-; sleep 1000", "has not ended within 0.5 s"),
        ("while :; do echo x; sleep 0.1; done", "has not ended within 0.5 s"),
        ("yes", "prints more than 8 MiB"),
        ("yes >&2", "prints more than 8 MiB"),
    ],
    ids=["sleeps", "ignores TERM", "has children", "closes its output", "drips", "floods", "complains"],
)
def test_a_command_that_breaks_a_limit_is_killed_with_all_its_processes(command: str, why: str) -> None:
    before = left()
    began = time.monotonic()
    within_s = 0.5 if "within" in why else 30.0
    with pytest.raises(UpcallLimitError, match=why):
        run_upcall(command, "/", within_s)
    assert time.monotonic() - began < SOON_S
    eventually(lambda: left() == before)


@pytest.fixture
def flooding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A default group source whose commands never stop printing. Each writes its start down."""
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(tmp_path))
    log = tmp_path / "log"
    command = f"echo x >>{log}; yes"
    (tmp_path / "groups.conf").write_text(
        f"[Main]\ndefault: slurm\n[slurm]\nmap: {command}\nall: {command}\nlist: {command}\n"
    )
    return log


def test_the_error_names_source_and_command_and_says_what_to_do(flooding: Path) -> None:
    sets = NodeSets(load_groups(None))
    for _ in range(2):
        with pytest.raises(SettingsError) as caught:
            sets.expand("@gpu")
        assert caught.value.message.startswith("group source `slurm` cannot be used: its `list`, `echo x ")
        assert caught.value.message.endswith("`, prints more than 8 MiB")
        assert caught.value.hint.startswith("run the command by hand")
    with pytest.raises(SettingsError, match="prints more"):
        sets.all()
    assert flooding.read_text() == "x\n", "the source was asked once"


def test_a_check_of_all_groups_tells_of_it(flooding: Path) -> None:
    groups = load_groups(None)
    assert groups is not None
    (reason,) = look_at_groups(groups).unusable.values()
    assert "prints more than 8 MiB" in reason
    assert os.path.getsize(flooding) == 2


class Hasty(Upcalls):
    """A source whose commands have less time together."""

    all_within_s = 0.2


def test_the_commands_of_a_source_have_a_limit_together() -> None:
    source = Hasty("slow", cfgdir="/", map_upcall="sleep 0.3; echo $GROUP-1", list_upcall="echo a b")
    assert source.resolv_map("a") == "a-1"
    for _ in range(2):
        with pytest.raises(SettingsError) as caught:
            source.resolv_map("b")
        assert caught.value.message.startswith(
            "group source `slow` cannot be used: its `map`, `sleep 0.3; echo b-1`, is"
        )
        assert "took 0 s in all" in caught.value.message
    with pytest.raises(SettingsError):
        source.resolv_list()
