"""The examples of plug-ins: each says what its page promises, and the commands of the page work."""

import importlib.util
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from clbalance.model.plugins import CheckState, SiteReading
from clbalance.probe.frame import Section
from clbalance.probe.site_programs import section_of
from clbalance.probe.site_reading import parse_site
from clbalance.settings.load import load_settings
from clbalance.wiring.plugins.site import site_programs
from tests.guide.pages import PACKAGE, ROOT, type_all

EXAMPLES = ROOT / "examples"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The examples in a folder of the reader's own; the package as `pip install` leaves it."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    project = tomllib.loads((folder / "package" / "pyproject.toml").read_text())["project"]
    info = folder / "package" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.sshd
def test_the_commands_of_the_page_work(lab_env: dict[str, str], copied: Path) -> None:
    path = os.pathsep.join([PACKAGE, str(copied / "package")])
    type_all(copied / "README.md", "", copied, {**lab_env, "PYTHONPATH": path})


def said_by(folder: Path) -> SiteReading:
    """What the programs of an example print on this machine."""
    site = site_programs(load_settings({}, folder, system_file=folder / "none"))
    sections = {}
    for at, program in enumerate(site.programs):
        done = subprocess.run(
            ["sh", "-c", program.text, program.name, *program.arguments], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        sections[section_of(at)] = Section(text=f"{done.stdout}\nexit {done.returncode}\n", status="0")
    return parse_site(sections, site, {})


def test_the_index_example_prints_its_two_indices_and_nothing_else(copied: Path) -> None:
    found = said_by(copied / "index")
    assert all(isinstance(one.value, float) for one in found.values)
    assert [one.index.name for one in found.values] == ["scratch_free", "scratch_users"]
    assert found.remarks == ()


def test_the_check_example_follows_nagios(copied: Path) -> None:
    check = said_by(copied / "check").checks[0]
    assert check.state in {CheckState.OK, CheckState.WARNING}  # as full as the disk is
    assert "2 folders can be written to" in check.text
    settings = copied / "check" / "clbalance.toml"
    settings.write_text(settings.read_text().replace("/var/tmp", "/proc/nowhere"))
    check = said_by(copied / "check").checks[0]
    assert (check.state, check.text) == (CheckState.CRITICAL, "CRITICAL - /proc/nowhere cannot be written to")


@pytest.fixture
def rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_rules_example", EXAMPLES / "package" / "site_rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("cpus", "asked", "fits"), [(64, 1, False), (64, 2, True), (63, 1, True), (None, 1, True)])
def test_the_filter_example_keeps_big_nodes_for_big_jobs(
    rules: ModuleType, cpus: int | None, asked: int, *, fits: bool
) -> None:
    assert (rules.big_nodes({"indices": {"cpus": cpus}}, {"cpus": asked}) is None) == fits


def test_the_scorer_example_prefers_nodes_without_logins(rules: ModuleType) -> None:
    points = [rules.quiet({"indices": {"ls": logins}}, {}) for logins in (0, 1, 9, None)]
    assert points == [100.0, 80.0, 0.0, 50.0]
