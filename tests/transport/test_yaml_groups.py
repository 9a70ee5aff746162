"""Groups in YAML: those that ClusterShell reads mean the same here, and one mistake closes no other group."""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ClusterShell.NodeSet import NodeSet
from ClusterShell.NodeUtils import GroupResolverConfig
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clbalance.errors import ClbalanceError, NodeNameError, SettingsError
from clbalance.nodeset import NodeSets, check_node_name, fold
from clbalance.transport.group_check import file_problems, look_at_groups
from clbalance.transport.groups import ConfiguredGroups, load_groups


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where ClusterShell looks for YAML files of groups, and no groups else."""
    made = tmp_path_factory.mktemp("clustershell")
    (made / "groups.d").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLUSTERSHELL_CFGDIR", str(made))
        patch.setenv("HOME", str(made))
        yield made


def configured(folder: Path, *, default: str = "s", **files: str | bytes) -> ConfiguredGroups:
    for old in (folder / "groups.d").iterdir():
        old.unlink()
    for name, content in files.items():
        path = folder / "groups.d" / f"{name}.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (folder / "groups.conf").write_text(f"[Main]\ndefault: {default}\nautodir: $CFGDIR/groups.d\n")
    groups = load_groups(None)
    assert groups is not None
    return groups


def refused(groups: ConfiguredGroups, group: str) -> str:
    with pytest.raises(SettingsError) as caught:
        NodeSets(groups).group(group)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("gpu: 12", "3: group `gpu` of source `s` is a number (12), not a node set"),
        ("gpu: 1.5", "3: group `gpu` of source `s` is a number (1.5), not a node set"),
        ("gpu: yes", "3: group `gpu` of source `s` is a boolean (yes), not a node set"),
        ("gpu: 2026-11-29", "3: group `gpu` of source `s` is a date (2026-11-29), not a node set"),
        ("gpu: {a: n1}", "3: group `gpu` of source `s` is a table, not a node set"),
        ("gpu: [n1, 2]", "3: group `gpu` of source `s` is a list with a number in it, not a node set"),
        ("gpu: [n1, [n2]]", "3: group `gpu` of source `s` is a list with a list in it, not a node set"),
        ("gpu: !!binary aGk=", "3: group `gpu` of source `s` is of the type `binary` (aGk=), not a node set"),
        ("gpu: !!python/name:os.system x", "is of the type `python/name:os.system` (x), not a node set"),
        ("gpu: &ring [*ring]", "3: group `gpu` of source `s` is a list with a list in it, not a node set"),
        ("gpu: 'n[1-'", "3: group `gpu` of source `s` is not a node set: missing bracket"),
        ("gpu: 'n[5-1]'", "3: group `gpu` of source `s` is not a node set"),
        ("gpu: 'a;b'", "3: group `gpu` of source `s` is not a node set: ; not allowed: a;b"),
        ("gpu: 'n[1-999999999]'", "3: group `gpu` of source `s` names more than 200000 nodes"),
        ("gpu: 'n[1-9999]x[1-9999]'", "3: group `gpu` of source `s` names more than 200000 nodes"),
        ("gpu: '@gpu'", "3: group `gpu` of source `s` contains itself: @s:gpu → @s:gpu"),
        ("gpu: '@b'\n  b: '@gpu,n1'", "3: group `gpu` of source `s` contains itself: @s:gpu → @s:b → @s:gpu"),
        ("gpu: '@t:b'\nt:\n  b: '@s:gpu'", "contains itself: @s:gpu → @t:b → @s:gpu"),
        ("gpu: '@*'", "contains itself: @s:gpu → @s:gpu"),
    ],
)  # fmt: skip
def test_a_group_that_is_no_node_set_fails_those_who_ask_for_it_alone(folder: Path, wrong: str, message: str) -> None:
    groups = configured(folder, site=f"s:\n  cpu: 'n[1-3]'\n  {wrong}\n")
    assert message in refused(groups, "gpu")
    assert str(folder / "groups.d" / "site.yaml") in refused(groups, "s:gpu")
    assert fold(NodeSets(groups).group("cpu")) == "n[1-3]"
    everything = NodeSets(groups).everything()
    assert fold(everything.nodes) in {"n[1-3]", "n[1-3],n1"}
    assert any(message.split(":", 1)[-1] in one for one in everything.left_out)
    assert any(message in problem.message for problem in file_problems(groups))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("5", "the name of a group of source `s` is a number (5)"),
        ("2026-11-29", "is a date (2026-11-29)"),
        ("on", "is a boolean (on)"),
        ("~", "is null"),
        ("[a, b]", "is a list"),
        ("{a: b}", "is a table"),
        ("'a b'", "'a b' cannot be the name of a group"),
        ("'a,b'", "'a,b' cannot be the name of a group"),
        ("''", "'' cannot be the name of a group"),
    ],
)
def test_a_name_that_is_none_is_told_and_costs_the_other_groups_nothing(folder: Path, name: str, message: str) -> None:
    groups = configured(folder, site=f"s:\n  cpu: 'n[1-3]'\n  ? {name}\n  : n9\n")
    (problem,) = file_problems(groups)
    assert message in problem.message
    assert problem.message.startswith(f"{folder}/groups.d/site.yaml:3: ")
    assert fold(NodeSets(groups).all()) == fold(NodeSets(groups).group("cpu")) == "n[1-3]"
    if name.isdecimal():
        assert "put it in quotes" in problem.hint
        assert refused(groups, name) == problem.message


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"x:\n  a: n1\n b: [\n", ":3: not YAML: "),
        (b"x:\n  a: \xe9\n", ": line 2 is not UTF-8"),
        (b"x:\n  a: n1\n  b: \"\x1b\"\n", ":3: special characters are not allowed"),
        (b"x: &a {}\ny: &a {}\n", "not YAML"),
        (b"--- 1\n--- 2\n", "not YAML"),
        (b"- x\n", ": is a list, not a table of group sources"),
        (b"12", ": is a number, not a table of group sources"),
        (b"", ": is empty"),
        (b"!!set {x, y}", ": is of the type `set`, not a table of group sources"),
        (b"[" * 3000, ": nested too deeply"),
        (b"<<: 5\n", ":1: `<<` takes another table"),
        (b"x: {" + b"a" * (8 << 20) + b"}", "larger than"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_of_groups_costs_the_others_nothing(folder: Path, content: bytes, text: str) -> None:
    groups = configured(folder, broken=content, site="s:\n  cpu: 'n[1-3]'\n")
    assert fold(NodeSets(groups).group("cpu")) == fold(NodeSets(groups).all()) == "n[1-3]"
    message = refused(groups, "x:a")
    assert (text in message, message.startswith(f"{folder}/groups.d/broken.yaml:")) == (True, True)
    assert [problem.message for problem in look_at_groups(groups).problems] == [message]


@pytest.mark.parametrize("content", ["x: 5\n", "x:\n", "x: [a]\n", "x: {<<: 5}\n", "x: &a\n  <<: *a\n"])
def test_a_source_that_is_no_table_fails_those_who_ask_for_it(folder: Path, content: str) -> None:
    groups = configured(folder, site=f"s:\n  cpu: 'n[1-3]'\n{content}")
    assert refused(groups, "x:a").startswith(f"{folder}/groups.d/site.yaml:")
    assert fold(NodeSets(groups).group("cpu")) == "n[1-3]"


def test_a_source_in_two_files_is_in_neither_and_the_others_work(folder: Path) -> None:
    groups = configured(folder, one="s: {a: n1}\ntwice: {a: n2}\n", two="twice: {a: n3}\n")
    both = f"in {folder}/groups.d/one.yaml and {folder}/groups.d/two.yaml"
    assert refused(groups, "twice:a") == f"group source `twice` is defined more than once: {both}"
    assert fold(NodeSets(groups).group("a")) == "n1"
    assert both in refused(configured(folder, default="twice", one="twice: {a: n1}", two="twice: {a: n2}"), "a")


def test_the_default_source_is_never_another_one_because_a_file_is_broken(folder: Path) -> None:
    for default in ("", "x"):
        groups = configured(folder, default=default, broken="x: [", site="s: {a: n1}")
        assert "broken.yaml:1: not YAML" in refused(groups, "a")
        assert fold(NodeSets(groups).group("s:a")) == "n1"
    groups = configured(folder, default="", another="s: {a: n1}", broken="x: [")
    assert fold(NodeSets(groups).group("a")) == "n1", "it was found before, whatever the broken one says"


def test_a_broken_group_is_never_taken_for_an_empty_one(folder: Path) -> None:
    """What `-X`, or a difference, would then leave in."""
    sets = NodeSets(configured(folder, site="s: {cpu: 'n[1-3]', gpu: 3}"))
    for text in ("@cpu!@gpu", "n[1-3]!@gpu", "@cpu&@gpu", "n1!@*", "@cpu!n*"):
        with pytest.raises((SettingsError, NodeNameError)):
            sets.expand(text)


def test_all_nodes_are_the_group_of_that_name_where_there_is_one(folder: Path) -> None:
    sets = NodeSets(configured(folder, site="s: {all: '@cpu', cpu: 'n[1-3]', gpu: 3}"))
    assert (fold(sets.everything().nodes), sets.everything().left_out) == ("n[1-3]", ())
    groups = configured(folder, site="s: {all: '@gpu', cpu: 'n[1-3]', gpu: 3}")
    with pytest.raises(SettingsError, match="group `gpu` of source `s` is a number"):
        NodeSets(groups).all()


def test_where_no_group_can_be_used_all_nodes_are_an_error(folder: Path) -> None:
    with pytest.raises(SettingsError, match="group `gpu` of source `s` is a number"):
        NodeSets(configured(folder, site="s: {gpu: 3}")).all()


def test_groups_that_double_at_each_level_take_no_time(folder: Path) -> None:
    doubled = "".join(f"  g{n}: '@g{n + 1},@g{n + 1}'\n" for n in range(40))
    merged = "".join(f"m{n}: &m{n}\n  <<: [*m{n - 1}, *m{n - 1}]\n" for n in range(1, 40))
    groups = configured(folder, site=f"s:\n{doubled}  g40: n1\n", more=f"m0: &m0 {{a: n1, b: n2}}\n{merged}")
    assert fold(NodeSets(groups).group("g0")) == "n1"
    assert fold(NodeSets(groups).group("m39:b")) == "n2"


def test_a_chain_of_groups_too_long_to_follow_ends(folder: Path) -> None:
    groups = configured(folder, site="s:\n" + "".join(f"  g{n}: '@g{n + 1}'\n" for n in range(2000)))
    with pytest.raises(SettingsError, match="lies more than 50 groups deep"):
        NodeSets(groups).group("g0")


def test_a_device_or_fifo_in_place_of_a_file_of_groups_holds_nobody_up(folder: Path) -> None:
    configured(folder, site="s: {a: n1}")
    os.mkfifo(folder / "groups.d" / "fifo.yaml")
    groups = load_groups(None)
    assert groups is not None
    assert "fifo.yaml: not a regular file" in refused(groups, "x:a")
    assert fold(NodeSets(groups).group("a")) == "n1"


_NODES = st.sampled_from(
    ["n1", "n[1-3]", "n[1-9/2]", "a,b", "n1 n2", "n1\nn2", "", " ", "@a", "@b", "@all", "@s:a", "@t:b", "@nosuch", "n3!n3", "@a!n1", "@a&@b", "@*",
     "@t:*", "r[1-2]c[1-2]", "n*", "n[1-", ",", "n-1", "N.x_y", "[1-2]", "n[01-03]", "-x", "@", "@t:"]
)  # fmt: skip
_CONTENT = st.none() | _NODES | st.lists(_NODES, max_size=3)
_GROUPS = st.dictionaries(st.sampled_from(["a", "b", "all", "c-1"]), _CONTENT, max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({"s": _GROUPS}, optional={"t": _GROUPS}))
@example({"s": {"a": ["n1", "n[2-3]"], "b": None, "all": "@a"}})
@example({"s": {"a": "@t:b", "b": "n9"}, "t": {"b": "@a", "a": "n1"}})
def test_what_clustershell_reads_means_the_same_here(folder: Path, sources: dict[str, dict[str, object]]) -> None:
    ours = NodeSets(configured(folder, site=yaml.safe_dump(sources)))
    theirs = GroupResolverConfig(str(folder / "groups.conf"))
    asked = [(f"@{source}:{group}", f"@{source}:{group}") for source, groups in sources.items() for group in groups]
    # Where there is no `all`, ClusterShell lets the `!` of one group take nodes of another out of all nodes.
    everything = [] if set("!&^") & set(str(sources)) else [("@*", "@*")]
    for text, expression in [*asked, *everything]:
        try:
            meant = [*NodeSet(text, resolver=theirs)]
            assert all(check_node_name(name) for name in meant)
        except Exception:  # noqa: BLE001 - whatever leaves ClusterShell: then it is an error here, or better
            with contextlib.suppress(ClbalanceError):
                ours.expand(expression)
        else:
            assert list(ours.expand(expression)) == meant
            if text == "@*":
                assert list(ours.all()) == meant


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.binary(max_size=3) | _NODES
    | st.dates() | st.sampled_from(["é", "%", "a;b"]) | st.just(dt.datetime(2026, 11, 29, tzinfo=dt.UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.none() | st.integers() | st.text(max_size=4) | _NODES | st.dates(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_DOCUMENTS = (
    st.dictionaries(st.sampled_from(["s", "t"]) | st.integers(), st.dictionaries(st.sampled_from(["a", "all", 5, None, "x y"]), _ODD, max_size=4), max_size=3)
    | _ODD
).map(lambda value: yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass"))  # fmt: skip
_FRAGMENTS = st.lists(
    st.sampled_from(["s", "t", "a", ":", ": ", "\n", "  ", "- ", "[", "]", "{", "}", "&x ", "*x", "<<", "? ", "!!int ", "!!set ", "!y ", "'", '"', "|\n", "#", "%", "@b",
                     "=", "~", "1", "0x_", "2024-99-99", "1:1:1", "---", "...", ",", "\t", "\x00", "\ufeff", "é", "n[1-3]", "9" * 20]),
    max_size=25,
).map(lambda parts: "".join(parts).encode())  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_DOCUMENTS | _FRAGMENTS | st.binary(max_size=30), st.sampled_from(["s", "t", "", "zz"]))
@example(b"s: {a: 2024-99-99, b: !!int x, all: =}", "s")
@example(b"s: &a {<<: *a}", "s")
@example(b"? ''\n: (:", "s")
def test_no_document_at_all_is_more_than_an_error_of_ours(folder: Path, document: bytes, default: str) -> None:
    groups = configured(folder, default=default, site=document, other="fine: {a: n1}")
    sets = NodeSets(groups)
    for ask in (sets.all, lambda: sets.group("a"), lambda: sets.group("s:a"), lambda: sets.expand("@t:*,@s:all!@5")):
        with contextlib.suppress(ClbalanceError):
            ask()
    look_at_groups(groups)
    if not any("more than once" in problem.message for problem in groups.problems):
        assert fold(sets.group("fine:a")) == "n1"
