"""Names of nodes, groups, users and files that want to be commands: none ever runs, none ends in a traceback.

Few by default; CLBALANCE_SOAK=50 tries 10⁵ in process and 240 through the command.
"""

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.cli.options import RequestOptions
from clbalance.cli.run.options import JobOptions
from clbalance.cli.run.submission import submission
from clbalance.cli.run.work import CommandLine
from clbalance.errors import ClbalanceError
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets, Selection, candidates, check_user_name
from clbalance.render.output.files import expand
from clbalance.settings.load import load_settings
from clbalance.transport.groups import ConfiguredGroups, load_groups
from tests.cli import forks
from tests.cli.command import ARGV, THIS_TREE, TIMEOUT_S

from .nasty import CANARY, nasty_names
from .soak import trials

pytestmark = pytest.mark.soak

_GROUPS_CONF = """\
[Main]
default: s

[s]
map: sed -n 's/^$GROUP: //p' $CFGDIR/groups
all: cat $CFGDIR/groups
list: sed -n 's/^\\([^:]*\\): .*/\\1/p' $CFGDIR/groups

[open]
map: printf '%s\\n' '$GROUP' >>$CFGDIR/asked; echo n1
"""
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")
# No server listens there, and no name is looked up: what passes for a node is refused at once.
_SSH_CONFIG = "Host *\n    HostName 127.0.0.1\n    Port 1\n    ProxyCommand none\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, in which a canary would appear."""
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "groups.conf").write_text(_GROUPS_CONF)
    (tmp_path / "groups").write_text("g: n[1-4]\nrack1: n[1-2]\n")
    (tmp_path / "ssh_config").write_text(_SSH_CONFIG)
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def groups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ConfiguredGroups:
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(folder.parent))
    found = load_groups(folder.parent / "groups.conf")
    assert found is not None
    return found


def _as_settings(folder: Path) -> Callable[[str], object]:
    def read(name: str) -> object:
        by_variable = {f"CLBALANCE_{key}": name for key in ("SSH_OPTIONS", "USER", "FANOUT", "GROUPS_CONF", "CONFIG")}
        return [load_settings({key: text, "HOME": str(folder)}, folder) for key, text in by_variable.items()]

    return read


def _submitted(job: JobOptions, *words: str, exact: bool = True, mem: str | None = None) -> object:
    return submission(
        job, RequestOptions(mem=mem), CommandLine(words=words or ("true",), exact=exact), say=lambda _: None
    )


@pytest.mark.parametrize("part", range(2))
def test_no_parser_runs_a_name_or_fails_at_one(part: int, folder: Path, groups: ConfiguredGroups) -> None:
    sets = NodeSets(groups)
    parsers: tuple[Callable[[str], object], ...] = (
        sets.expand,
        sets.group,
        lambda name: sets.expand(f"@open:{name}"),
        check_user_name,
        lambda name: candidates(Selection(nodes=(name,), exclude=("n1",)), sets),
        lambda name: candidates(Selection(nodes=("n[1-9]",), exclude_groups=(name,)), sets),
        lambda name: expand(name, job_id=1, node=NodeName("n1"), attempt=1),
        lambda name: _submitted(JobOptions(), name, exact=False),
        lambda name: _submitted(JobOptions(), name),
        lambda name: _submitted(JobOptions(stdin=name)),
        lambda name: _submitted(JobOptions(pick=name)),
        lambda name: _submitted(JobOptions(time_limit=name)),
        lambda name: _submitted(JobOptions(env=[name])),
        lambda name: _submitted(JobOptions(name=name)),
        lambda name: _submitted(JobOptions(), mem=name),
        _as_settings(folder),
    )
    (folder.parent / "asked").touch()
    before = set(folder.parent.rglob("*"))
    for name in nasty_names(trials(few=1000, full=50_000), random.Random(part)):
        for parser in parsers:
            try:
                parser(_typeable(name))
            except ClbalanceError:
                continue
    assert set(folder.parent.rglob("*")) == before
    asked = (folder.parent / "asked").read_text().splitlines()
    assert asked
    assert [name for name in asked if not _GROUP.fullmatch(name)] == []


# What each verb may exit with when no node can be reached, whatever is typed; 127 and 126 are a job's only.
_VERBS: tuple[tuple[tuple[str, ...], set[int]], ...] = (
    (("load", "-w", "NAME"), {2, 4}),
    (("load", "-g", "NAME"), {2, 4}),
    (("load", "-w", "n1", "-x", "NAME"), {2, 4}),
    (("load", "-w", "n1", "-l", "NAME"), {2, 4}),
    (("pick", "-w", "n1", "-X", "NAME"), {2, 3}),
    (("pick", "-w", "NAME", "--json"), {2, 3}),
    (("pick", "-w", "n1", "--groups-conf", "NAME"), {2, 3}),
    (("run", "-w", "NAME", "--", "true"), {2, 3, 125}),
    (("run", "-w", "n1", "NAME"), {2, 3, 125}),
    (("run", "-w", "n1", "--output", "NAME", "--", "true"), {2, 3, 125}),
    (("run", "-w", "n1", "--stdin", "NAME", "--", "true"), {2, 3, 125}),
    (("run", "-w", "n1", "--name", "NAME", "--env", "NAME", "--", "NAME"), {2, 3, 125}),
    (("drain", "NAME", "--reason", "maintenance"), {2, 4}),
    (("drain", "n1", "--reason", "NAME"), {2, 4}),
    (("top", "--once", "-w", "NAME"), {2, 4}),
    (("NAME",), {0, 2}),
)


def test_the_command_runs_no_name_and_fails_at_none(folder: Path) -> None:
    env = {
        **THIS_TREE,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "CLBALANCE_SSH_OPTIONS": f"-F {folder.parent / 'ssh_config'}",
        "CLBALANCE_STATE_DIR": str(folder.parent / "state"),
        "CLUSTERSHELL_CFGDIR": str(folder.parent),
    }
    names = list(nasty_names(2000, random.Random(0)))
    for number in range(trials(few=30, full=240)):
        template, codes = _VERBS[number % len(_VERBS)]
        name = _typeable(random.choice(names))
        argv = [word.replace("NAME", name) for word in template]
        done = forks.run([*ARGV, *argv], stdin=b"", env=env, cwd=folder, timeout=TIMEOUT_S)
        said = done.stderr.decode(errors="replace")
        assert "Traceback" not in said, (argv, said)
        assert not list(folder.parent.rglob(f"*{CANARY}*")), argv
        assert done.returncode in codes or name == "--help", (argv, done.returncode, said)


def _typeable(name: str) -> str:
    """An argument cannot hold a NUL."""
    return name.replace("\0", "")
