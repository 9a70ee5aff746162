"""An upcall of a file that others wrote, or may have written, is never run: the canary does not sing."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.errors import SettingsError
from clbalance.nodeset import NodeSets, fold
from clbalance.transport.group_check import file_problems, look_at_groups
from clbalance.transport.groups import ConfiguredGroups, load_groups


class Site:
    """`groups.conf` with a source of its own, one in `conf.d` and one in `yaml.d`; upcalls leave a trace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.canary = folder.parent / f"sang-{folder.name}"
        self.conf = self.made(
            "groups.conf",
            f"[Main]\ndefault: {{}}\nconfdir: $CFGDIR/conf.d\nautodir: $CFGDIR/yaml.d\n{self.source('main')}",
        )
        self.part = self.made("conf.d/part.conf", self.source("part"))
        self.yaml = self.made("yaml.d/site.yaml", "yaml:\n  gpu: n[1-3]\n  up: '@part:gpu'\n")
        self.default("main")

    def made(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def source(self, name: str) -> str:
        return f"[{name}]\nmap: touch {self.canary}; echo {name}1\nlist: touch {self.canary}; echo gpu\nall: touch {self.canary}; echo {name}1\n"

    def default(self, name: str) -> None:
        self.conf.write_text(self.conf.read_text().replace("default: {}", f"default: {name}"))

    def groups(self) -> ConfiguredGroups:
        found = load_groups(None)
        assert found is not None
        return found

    def refused(self, group: str, groups: ConfiguredGroups | None = None) -> SettingsError:
        with pytest.raises(SettingsError) as caught:
            NodeSets(groups or self.groups()).group(group)
        return caught.value


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(tmp_path / "site"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return Site(tmp_path / "site")


def open_to_all(path: Path) -> None:
    path.chmod(0o777)


def given_away(path: Path) -> None:
    os.chown(path, 54321, -1)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
WAYS = [
    pytest.param(open_to_all, "others may write to", "`chmod ", id="all may write"),
    pytest.param(given_away, "belongs to uid 54321", "`chown root ", id="a stranger's", marks=[needs_root, pytest.mark.root]),
]  # fmt: skip


def test_what_is_right_is_run_or_these_tests_could_not_fail(site: Site) -> None:
    assert fold(NodeSets(site.groups()).group("gpu")) == "main1"
    assert site.canary.exists()
    assert [fold(NodeSets(site.groups()).group(name)) for name in ("part:gpu", "yaml:gpu", "yaml:up")] == [
        "part1",
        "n[1-3]",
        "part1",
    ]
    assert file_problems(site.groups()) == ()


@pytest.mark.parametrize(("spoil", "message", "hint"), WAYS)
@pytest.mark.parametrize("where", ["groups.conf", "."])
@pytest.mark.parametrize("is_named", [False, True], ids=["found", "named"])
def test_nothing_of_a_refused_groups_conf_is_run(
    site: Site, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], message: str, hint: str, where: str, is_named: bool
) -> None:  # fmt: skip
    wrong = site.folder / where
    spoil(wrong)
    if is_named:
        monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(site.folder.parent))
    groups = load_groups(site.conf if is_named else None)
    assert groups is not None
    for group in ("gpu", "main:gpu", "part:gpu", "yaml:gpu"):
        error = site.refused(group, groups)
        assert error.message.startswith(f"{site.conf}: ")
        assert (message in error.message, hint in error.hint, str(wrong) in error.hint) == (True, True, True)
    with pytest.raises(SettingsError, match=message):
        NodeSets(groups).all()
    assert len(look_at_groups(groups).problems) == 1
    assert fold(NodeSets(groups).expand("n[1-2]")) == "n[1-2]", "what needs no groups works on"
    assert not site.canary.exists()


@pytest.mark.parametrize(("spoil", "message", "hint"), WAYS)
@pytest.mark.parametrize("where", ["conf.d", "conf.d/part.conf", "yaml.d", "yaml.d/site.yaml"])
def test_nothing_of_a_refused_file_of_groups_is_run_and_the_others_work(
    site: Site, spoil: Callable[[Path], None], message: str, hint: str, where: str
) -> None:
    wrong = site.folder / where
    spoil(wrong)
    source = "part" if "conf.d" in where else "yaml"
    error = site.refused(f"{source}:gpu")
    assert (message in error.message, hint in error.hint, str(wrong) in error.hint) == (True, True, True)
    assert look_at_groups(site.groups()).problems[0].message == error.message
    site.canary.unlink()
    with pytest.raises(SettingsError):
        NodeSets(site.groups()).group("yaml:up")  # in one, by way of the other
    assert not site.canary.exists()
    assert fold(NodeSets(site.groups()).group("gpu")) == "main1"


@pytest.mark.parametrize("where", ["conf.d/part.conf", "yaml.d/site.yaml"])
def test_the_default_source_of_a_refused_file_is_not_replaced_by_another(site: Site, where: str) -> None:
    open_to_all(site.folder / where)
    for default in ("part" if "part" in where else "yaml", ""):
        site.conf.write_text(
            f"[Main]\ndefault: {default}\nconfdir: $CFGDIR/conf.d\nautodir: $CFGDIR/yaml.d\n{site.source('last')}"
        )
        if default or "part" in where:  # the first one, where none is named
            assert "others may write to it" in site.refused("gpu").message
    assert not site.canary.exists()


def test_a_refused_file_that_might_replace_sources_of_others_closes_those(site: Site, tmp_path: Path) -> None:
    other = Site(tmp_path / "other")
    open_to_all(other.yaml)
    groups = load_groups(other.conf)
    for group in ("yaml:gpu", "unknown:gpu"):
        assert str(other.yaml) in site.refused(group, groups).message
    assert fold(NodeSets(groups).group("gpu")) == "main1", "it has the last word"


@pytest.mark.parametrize("value", ["", "relative"])
def test_a_variable_for_the_folder_that_is_no_path_from_the_root(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    """Empty is not set, whatever lies where one stands; relative is from there, and held to the same rule."""
    site.folder.rename(tmp_path / "relative")
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", value)
    monkeypatch.setenv("XDG_CONFIG_HOME", value)
    monkeypatch.chdir(tmp_path if value else tmp_path / "relative")
    if not value:
        assert load_groups(None) is None
        return
    assert fold(NodeSets(load_groups(None)).group("part:gpu")) == "part1"
    (tmp_path / "relative").chmod(0o777)
    assert f"its folder {tmp_path}/relative" in site.refused("part:gpu").message


@needs_root
@pytest.mark.root
def test_the_packaged_example_of_somebody_elses_installation_does_no_harm(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example = tmp_path / "packaged"
    (example / "groups.d").mkdir(parents=True)
    (example / "groups.d" / "local.cfg").write_text("all: example[1-9]\n")
    conf = example / "groups.conf"
    conf.write_text(
        "[Main]\ndefault: local\nautodir: $CFGDIR/groups.d\n[local]\nmap: grep $GROUP $CFGDIR/groups.d/local.cfg\n"
    )
    os.chown(conf, 54321, -1)
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(example))
    assert load_groups(None) is None
    (example / "groups.d" / "more.yaml").write_text("more: {a: n1}\n")
    assert "belongs to uid 54321" in site.refused("more:a").message


def test_a_groups_conf_that_is_named_by_a_link_reads_from_the_folder_where_it_lies(site: Site, tmp_path: Path) -> None:
    link = tmp_path / "link.conf"
    link.symlink_to(site.conf)
    site.folder.rename(tmp_path / "elsewhere")
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere" / "groups.conf")
    assert fold(NodeSets(load_groups(link)).group("yaml:gpu")) == "n[1-3]"


_ANN = 2001


def asked_by_ann(conf: Path) -> str:
    """What a process of a plain user gets as an answer. It is a fork: she may not be able to start this Python."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "nothing"
        try:
            os.setgroups([])
            os.setresgid(_ANN, _ANN, _ANN)
            os.setresuid(_ANN, _ANN, _ANN)
            answer = fold(NodeSets(load_groups(conf)).group("gpu"))
        except SettingsError as error:
            answer = f"{error.message}; {error.hint}"
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer


@needs_root
@pytest.mark.root
@pytest.mark.parametrize(
    ("owner", "mode", "message"),
    [
        pytest.param(0, 0o644, "main1", id="root's"),
        pytest.param(_ANN, 0o644, "main1", id="her own"),
        pytest.param(_ANN, 0o664, "main1", id="her own, of a group"),
        pytest.param(_ANN, 0o646, "others may write to it; type `chmod o-w ", id="her own, open to all"),
        pytest.param(54321, 0o644, f"belongs to uid 54321, and could run any command as you; use your own copy, or have root type `chown {_ANN} ", id="a stranger's"),
    ],
)  # fmt: skip
def test_a_plain_user_runs_roots_groups_and_her_own(owner: int, mode: int, message: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o1777)
        site = Site(Path(made) / "site")
        os.chown(site.conf, owner, -1)
        site.conf.chmod(mode)
        answer = asked_by_ann(site.conf)
        assert message in answer
        assert site.canary.exists() == (message == "main1")
