"""From the settings to the programs of a probe: trusted files only, names that are free, and an error with its place."""

import json
from pathlib import Path

import pytest

from clbalance.engine.site_probe import HungProgram
from clbalance.errors import SettingsError
from clbalance.model.plugins import SitePrograms
from clbalance.settings.load import load_settings
from clbalance.wiring.plugins.hung_programs import FILE, HungProgramsFile
from clbalance.wiring.plugins.site import site_programs
from tests.cli.command import Command


def programs_of(folder: Path, settings: str, **texts: str) -> SitePrograms:
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "clbalance.toml").write_text(settings)
    return site_programs(load_settings({}, folder, system_file=folder / "none"))


def test_the_same_program_is_run_once_and_an_index_may_be_a_figure_of_a_check(tmp_path: Path) -> None:
    found = programs_of(
        tmp_path,
        '[check.disk]\nnode_program = "/usr/lib/x"\n'
        '[index.a]\nprogram = "p"\n[index.b]\nprogram = "p"\nfield = "B"\n'
        '[index.c]\nprogram = "p"\narguments = ["x"]\n[index.d]\ncheck = "disk"\nfield = "/"\n',
        p="#!/bin/sh\n",
    )
    assert [(one.name, one.path, one.arguments) for one in found.programs] == [
        ("check disk", "/usr/lib/x", ()), ("index a", "", ()), ("index c", "", ("x",)),
    ]  # fmt: skip
    assert [(one.index.name, one.program, one.field, one.is_perfdata) for one in found.indices] == [
        ("a", 1, "a", False), ("b", 1, "B", False), ("c", 2, "c", False), ("d", 0, "/", True),
    ]  # fmt: skip
    assert found.checks == (("disk", 0),)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param('[index.a]\nprogram = "gone"\n', "gone: No such file or directory", id="no such file"),
        pytest.param('[index.a]\nprogram = "plain"\n', "its first line must name one of sh", id="no first line"),
        pytest.param('[index.r1m]\nprogram = "p"\n', "`r1m` is a word of `--where`", id="a name of ours"),
        pytest.param('[index.gpus]\nprogram = "p"\n', "`gpus` is a word of `--where`", id="another of ours"),
        pytest.param(
            '[index.rack]\nprogram = "p"\n[[nodes]]\nset = "n1"\nlabels = { rack = "r1" }\n',
            "`rack` is a label of `n1`", id="a label",
        ),
        pytest.param('[index.a]\ncheck = "disk"\n', "there is no `[check.disk]`", id="a check that is not there"),
        pytest.param('[index.a]\nprobe = "no-such"\n', "the probe no-such is not installed", id="no such entry point"),
        pytest.param(
            "".join(f'[index.a{at}]\nprogram = "p"\narguments = ["{at}"]\n' for at in range(27)), "at most 26",
            id="too many",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_before_any_node_is_asked(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        programs_of(tmp_path, settings, p="#!/bin/sh\n", plain="echo\n")
    assert message in caught.value.message


@pytest.mark.parametrize(("asked", "probe", "limit"), [(2, 5, 2), (30, 5, 4), (30, 5.5, 5), (2, 0.5, 1)])
def test_a_program_has_a_second_less_than_the_whole_answer(
    tmp_path: Path, asked: int, probe: float, limit: int
) -> None:
    settings = f'[ssh]\nprobe_timeout_s = {probe}\n[index.a]\nprogram = "p"\ntimeout_s = {asked}\n'
    assert programs_of(tmp_path, settings, p="#!/bin/sh\n").programs[0].timeout_s == limit


def test_a_program_that_others_may_write_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("#!/bin/sh\n")
    (tmp_path / "p").chmod(0o666)
    with pytest.raises(SettingsError, match="others may write to it"):
        programs_of(tmp_path, '[index.a]\nprogram = "p"\n')


# -- what is remembered of programs that hung


def test_what_hung_is_remembered_in_the_state_folder(tmp_path: Path) -> None:
    file = tmp_path / "hung"
    HungProgramsFile(file).change({("n1", "k"): HungProgram(5.0, 2), ("n2", "k"): HungProgram(6.0, 1)})
    HungProgramsFile(file).change({("n1", "k"): None, ("n3", "k"): HungProgram(7.0, 1)})
    assert dict(HungProgramsFile(file).known()) == {
        ("n2", "k"): HungProgram(6.0, 1),
        ("n3", "k"): HungProgram(7.0, 1),
    }


@pytest.mark.parametrize(
    "content",
    ["", "{", "3", '{"a": 1}', "[[1]]", '[["n", "k", "5", 1]]', '[["n", "k", 5.0, 0]]', '[["n", "k", 5.0, true]]', "[" * 9000],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "hung"
    file.write_text(content)
    assert dict(HungProgramsFile(file).known()) == {}
    HungProgramsFile(file).change({("n", "k"): HungProgram(1.0, 1)})
    assert json.loads(file.read_text()) == [["n", "k", 1.0, 1]]


# -- whole calls, on this machine


def test_a_program_that_hangs_costs_its_own_index_and_is_remembered(alone: Command) -> None:
    (alone.folder / "hang.sh").write_text("#!/bin/sh\nsleep 3600\n")
    (alone.folder / "fine.sh").write_text("#!/bin/sh\necho fine 7\necho r1m 0\n")
    settings = '[index.hang]\nprogram = "hang.sh"\ntimeout_s = 1\n[index.fine]\nprogram = "fine.sh"\ntimeout_s = 30\n'
    (alone.folder / "clbalance.toml").write_text(f"[ssh]\nprobe_timeout_s = 60\n{settings}")
    done = alone("load", "--json")
    (node,) = json.loads(done.text)["nodes"]
    assert (done.rc, node["state"], node["indices"]) == (0, "up", {"hang": None, "fine": 7.0})
    assert node["unknown"]["indices.hang"] == "did not end within 1 s"
    ((name, _, _, times),) = json.loads((Path(alone.env["CLBALANCE_STATE_DIR"]) / FILE).read_text())
    assert (name, times) == (node["name"], 1)


def test_a_check_that_is_critical_is_shown_everywhere(alone: Command) -> None:
    (alone.folder / "disk.sh").write_text("#!/bin/sh\necho 'DISK [bold]full[/bold]|used=99%'\nexit 2\n")
    (alone.folder / "clbalance.toml").write_text(
        '[ssh]\nprobe_timeout_s = 60\n[check.disk]\nprogram = "disk.sh"\ntimeout_s = 30\n'
        '[index.used]\ncheck = "disk"\nunit = "percent"\nhelp = "Use of the \\"disk\\"."\n'
    )
    table = alone("load").text
    assert "unfit" in table
    assert "99%" in table
    assert "check disk critical: DISK [bold]full[/bold]" in table
    metrics = alone("metrics").text
    assert ',check="disk"} 2\n' in metrics
    assert 'clbalance_index_used{node="' in metrics
    done = alone("pick")
    assert (done.rc, "1 check disk critical" in done.stderr) == (3, True)
