"""Files that cannot be used are told with their place; a site's own groups are."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clbalance.errors import ClbalanceError, NodeNameError, SettingsError
from clbalance.nodeset import NodeSets, fold
from clbalance.transport.group_check import look_at_groups
from clbalance.transport.groups import load_groups


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("[Main]\ndefault: x\nrubbish\n", ":3: not a groups file: rubbish", id="no key, no value"),
        pytest.param("rubbish\n", ":1: not a groups file", id="no section"),
        pytest.param("[Main]\ndefault: gone\n[x]\nmap: true\n", "gone", id="a default source that is not there"),
        pytest.param("[x]\nall: true\n", "map", id="a source without map"),
        pytest.param("[x]\nmap: true\n[x]\nmap: false\n", "already exists", id="a section twice"),
    ],
)
def test_a_malformed_groups_conf_is_told_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "groups.conf"
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        NodeSets(load_groups(file)).group("gpu")
    assert message in caught.value.message
    assert str(file) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_groups_conf_that_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=str(tmp_path)):
        load_groups(tmp_path / name)


def test_yaml_groups_beside_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "groups.d").mkdir()
    (tmp_path / "groups.d" / "cluster.yaml").write_text("cluster:\n  gpu: 'n[1-4]'\n  all: 'n[1-9]'\n")
    (tmp_path / "groups.conf").write_text("[Main]\ndefault: cluster\nautodir: $CFGDIR/groups.d\n")
    sets = NodeSets(load_groups(tmp_path / "groups.conf"))
    assert fold(sets.group("gpu")) == "n[1-4]"
    assert fold(sets.all()) == "n[1-9]"


@pytest.mark.parametrize("name", ["groups.conf.example", "groups.conf"])
def test_the_example_file_works_where_it_lies_and_where_it_is_copied_to(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes((Path(__file__).parents[2] / "groups.conf.example").read_bytes())
    sets = NodeSets(load_groups(tmp_path / name))
    assert fold(sets.group("gpu-nodes")) == "gpu[1-8]"
    assert set(sets.group("rack1")) < set(sets.all())


_BESIDE_IT = """[Main]
default: {name}
[{name}]
map: sed -n 's/^$GROUP: //p' $CFGDIR/{name}
all: sed -n 's/^all: //p' $CFGDIR/{name}
list: sed -n 's/^\\([^:]*\\): .*/\\1/p' $CFGDIR/{name}
"""


def groups_in(folder: Path, name: str, groups: str) -> Path:
    """A groups.conf whose source `name` reads the file `name` beside it."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(groups)
    (folder / "groups.conf").write_text(_BESIDE_IT.format(name=name))
    return folder / "groups.conf"


@pytest.fixture
def users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's groups.conf, where ClusterShell looks."""
    made = groups_in(tmp_path / "own", "mine", "all: n[1-9]\ngpu: n[1-4]\n")
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(made.parent))
    return made


@pytest.mark.usefixtures("users_own")
def test_a_groups_conf_that_is_named_leaves_those_of_the_user_as_they_are(tmp_path: Path) -> None:
    sets = NodeSets(load_groups(groups_in(tmp_path / "extra", "more", "all: m[1-2]\n")))
    assert fold(sets.group("mine:gpu")) == "n[1-4]"
    assert fold(sets.all()) == "m[1-2]", "its own default has the last word"


@pytest.mark.usefixtures("users_own")
def test_a_groups_conf_that_is_named_may_choose_among_sources_of_others(tmp_path: Path) -> None:
    (tmp_path / "groups.conf").write_text("[Main]\ndefault: mine\n[other]\nmap: echo m1\n")
    sets = NodeSets(load_groups(tmp_path / "groups.conf"))
    assert fold(sets.group("gpu")) == "n[1-4]"
    assert fold(sets.group("other:any")) == "m1"


def test_the_users_own_groups_conf_may_be_named(users_own: Path) -> None:
    assert fold(NodeSets(load_groups(users_own)).group("gpu")) == "n[1-4]"


def test_what_an_upcall_complains_of_is_in_the_error_and_not_on_the_terminal(
    users_own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (users_own.parent / "mine").unlink()
    with pytest.raises(NodeNameError, match=r"group source `mine` is not usable: .*sed: can't read .*mine: No such"):
        NodeSets(load_groups(None)).group("gpu")
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("users_own")
def test_the_groups_that_may_be_meant_are_told_with_the_source_that_was_typed() -> None:
    sets = NodeSets(load_groups(None))
    for typed, hint in (("mine:gpo", "`mine:gpu`"), ("gpo", "`gpu`"), ("mine:xyz", "known groups: mine:all, mine:gpu")):
        with pytest.raises(NodeNameError) as caught:
            sets.group(typed)
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"[x]\nmap: true\nmap: false\n", ":3: `map` of `[x]` already exists above", id="an option twice"),
        pytest.param(b"[x]\n# caf\xe9\nmap: true\n", ": line 2 is not UTF-8", id="bytes that are not UTF-8 have their line"),
        pytest.param("[x]\nmap: true\n".encode("utf-16"), ": UTF-16, not UTF-8", id="another encoding is named"),
        pytest.param(b"[Main]\ndefault: %(x)s\n[x]\nmap: true\n", "x", id="an interpolation of nothing"),
        pytest.param(b"[Main]\nautodir: 'x\n[x]\nmap: true\n", "No closing quotation", id="an open quotation mark"),
        pytest.param(b"[Main]\nautodir: /dev/null\n[x]\nmap: true\n", "/dev/null: not a folder", id="a file for a folder"),
        pytest.param(b"[x]\nmap: true\ncache_time: soon\n", "`cache_time` of group source `x` is no number: soon", id="no number"),
    ],
)  # fmt: skip
def test_a_groups_conf_that_cannot_be_understood_is_told_with_what_is_wrong(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "groups.conf"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        NodeSets(load_groups(file)).group("gpu")
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_groups_may_be_written_on_any_system(tmp_path: Path, encoding: str, end: str) -> None:
    lines = ["[Main]", "default: lab", "autodir: $CFGDIR", "[cmd]", "map: echo n1", ""]
    (tmp_path / "groups.conf").write_bytes(end.join(lines).encode(encoding))
    (tmp_path / "lab.yaml").write_bytes(end.join(["lab:", "  gpu: 'n[1-2]'", ""]).encode(encoding))
    sets = NodeSets(load_groups(tmp_path / "groups.conf"))
    assert (fold(sets.group("gpu")), fold(sets.group("cmd:x"))) == ("n[1-2]", "n1")


def test_a_source_without_map_costs_the_others_nothing(tmp_path: Path) -> None:
    (tmp_path / "groups.conf").write_text("[Main]\ndefault: good\n[bad]\nall: true\n[good]\nmap: echo n1\n")
    sets = NodeSets(load_groups(tmp_path / "groups.conf"))
    assert fold(sets.group("any")) == "n1"
    with pytest.raises(SettingsError, match="group source `bad` has neither `map` nor `mapall`"):
        sets.group("bad:any")


def test_a_command_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "groups.conf").write_text("[x]\nmap: echo n1 \0\n")
    with pytest.raises(NodeNameError, match="cannot be run"):
        NodeSets(load_groups(tmp_path / "groups.conf")).group("any")


_INI = st.lists(
    st.sampled_from(["[Main]", "[x]", "[a,b]", "[", "]", "\n", "\n", "\n", ":", "=", "map: echo n1", "list: echo g", "all: @g", "default: x", "default: y", "confdir: .", "autodir: .",
                     "cache_time: 0", "cache_time: z", " ", "%", "$CFGDIR", "#", ";", "\t", "\x00", "\r", "é", "[DEFAULT]", "'", "mapall: echo g: n1"]),
    max_size=20,
).map(lambda parts: "".join(parts).encode())  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(_INI | st.binary(max_size=20))
@example(b"[,]\nmap: true\n")
def test_no_groups_conf_at_all_is_more_than_an_error_of_ours(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "groups.conf")
        file.write_bytes(content)
        groups = load_groups(file)
        for ask in (
            NodeSets(groups).all,
            lambda: NodeSets(groups).group("g"),
            lambda: NodeSets(groups).expand("@x:g!@b:*"),
        ):
            with contextlib.suppress(ClbalanceError):
                ask()
        if groups is not None:
            look_at_groups(groups)
