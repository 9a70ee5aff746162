"""What may be named, and what never reaches ClusterShell."""

import subprocess
import sys

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from hypothesis import given
from hypothesis import strategies as st

from clbalance.errors import NodeNameError
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets, Selection, candidates, check_node_name, check_user_name, fold
from clbalance.transport.groups import load_groups

GROUPS = {"all": "node[1-8]", "gpu": "node[5-8]", "rack1": "node[1-4]", "rack2": "node[5-8]", "none": ""}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> NodeSets:
    folder = tmp_path_factory.mktemp("groups")
    (folder / "names").write_text("".join(f"{name}:{nodes}\n" for name, nodes in GROUPS.items()))
    (folder / "groups.conf").write_text(
        "[Main]\ndefault: here\n[here]\n"
        "map: sed -n 's/^$GROUP://p' $CFGDIR/names\n"
        "all: sed -n 's/^all://p' $CFGDIR/names\n"
        "list: sed -n 's/^\\([^:]*\\):.*/\\1/p' $CFGDIR/names\n"
    )
    return NodeSets(load_groups(folder / "groups.conf"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("node[1-3]", "node[1-3]", id="a range is expanded"),
        pytest.param("@gpu", "node[5-8]", id="a group is looked up"),
        pytest.param("@here:gpu", "node[5-8]", id="a source may be named"),
        pytest.param("@gpu&@rack1,node9", "node9", id="operators work from left to right"),
        pytest.param("@all&@rack2", "node[5-8]", id="groups intersect"),
        pytest.param("node[1-9]!node4", "node[1-3,5-9]", id="a node is taken out"),
        pytest.param("@rack[1-2]^node1", "node[2-8]", id="a range of groups, and a difference"),
        pytest.param("@*", "node[1-8]", id="all nodes by wildcard"),
        pytest.param("node[01-10/3]", "node[01,04,07,10]", id="padding and steps are kept"),
        pytest.param("fe80::1", "fe80::1", id="an IPv6 address is a node"),
    ],
)
def test_expressions_mean_what_they_mean_in_clustershell(sets: NodeSets, text: str, expected: str) -> None:
    assert fold(sets.expand(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "-oProxyCommand=touch x",
        "a;b",
        "$(id)",
        "`id`",
        "n$(id)",
        "@sj:1;touch x",
        "@gpu;touch x",
        "node1 | id",
        "n/../x$HOME",
        "user@host'",
        "host>f",
        "a\nb",
        "\x1b[31m",
        "-x",
        ".hidden",
        "node[1-",
        "node1,,node2",
        "@nosuch:gpu",
    ],
)
def test_what_is_no_node_set_is_refused_with_a_hint(sets: NodeSets, text: str) -> None:
    with pytest.raises(NodeNameError) as caught:
        candidates(Selection(nodes=[text]), sets)
    assert caught.value.message


def test_an_unknown_group_is_answered_with_the_nearest_names(sets: NodeSets) -> None:
    with pytest.raises(NodeNameError, match="no group `rack3`") as caught:
        sets.group("rack3")
    assert "`rack1`" in caught.value.hint


@pytest.mark.parametrize("name", ["rack[1-3]", "gpu,rak1"])
def test_one_unknown_group_of_several_is_refused(sets: NodeSets, name: str) -> None:
    with pytest.raises(NodeNameError, match="no group"):
        sets.group(name)


@pytest.mark.parametrize(
    ("selection", "nodes", "excluded"),
    [
        pytest.param(Selection(nodes=["node1"], groups=["gpu"]), "node[1,5-8]", "", id="-w and -g are united"),
        pytest.param(Selection(groups=["gpu"], exclude=["node5"]), "node[6-8]", "node5", id="-x takes out"),
        pytest.param(Selection(everything=True, exclude_groups=["rack1"]), "node[5-8]", "node[1-4]", id="-a and -X"),
        pytest.param(Selection(nodes=["node[1-9]", "!node4"]), "node[1-3,5-9]", "", id="-w may begin with an operator"),
        pytest.param(Selection(nodes=["node1", "node1"]), "node1", "", id="a node named twice is one node"),
        pytest.param(Selection(nodes=["node1"], exclude=["x9"]), "node1", "", id="excluding a stranger is harmless"),
    ],
)
def test_candidates(sets: NodeSets, selection: Selection, nodes: str, excluded: str) -> None:
    found = candidates(selection, sets)
    assert (fold(found.nodes), fold(found.excluded)) == (nodes, excluded)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(nodes=["node[1-3]!node[1-3]"]),
        Selection(groups=["none"]),
        Selection(nodes=["node1"], exclude=["node1"]),
    ],
)
def test_an_empty_set_is_an_error(sets: NodeSets, selection: Selection) -> None:
    with pytest.raises(NodeNameError, match="empty"):
        candidates(selection, sets)


@pytest.mark.parametrize("asked", [Selection(groups=["gpu"]), Selection(everything=True), Selection(nodes=["@all"])])
def test_groups_without_a_source_are_an_error_and_no_node_of_that_name(asked: Selection) -> None:
    with pytest.raises(NodeNameError, match="needs groups"):
        candidates(asked, NodeSets(None))


@given(st.text(max_size=40))
def test_any_text_is_a_checked_set_or_an_error(text: str) -> None:
    try:
        found = NodeSets(None).expand(text)
    except NodeNameError:
        return
    assert all(check_node_name(name) == name for name in found)


@given(st.from_regex(r"[A-Za-z0-9_@!&^,:./\[\]*?-]{0,30}", fullmatch=True))
def test_any_expression_of_allowed_characters_is_a_checked_set_or_an_error(text: str) -> None:
    test_any_text_is_a_checked_set_or_an_error.hypothesis.inner_test(text)


@pytest.mark.parametrize("text", ["n[1-9999999999]", "n[0-999999999]", "n[-999999999-1]", "n[7,1-900000000/2]"])
def test_a_range_beyond_all_bounds_costs_no_memory(text: str) -> None:
    with pytest.raises(NodeNameError, match="names more than"):
        NodeSets(None).expand(text)


@given(st.sets(st.from_regex(r"[a-z]{1,3}[0-9]{1,3}", fullmatch=True), max_size=30))
def test_folding_and_expanding_is_the_identity(names: set[str]) -> None:
    folded = fold(NodeName(name) for name in names)
    assert set(NodeSets(None).expand(folded)) == names


@given(st.text(max_size=20))
def test_a_user_name_is_never_an_option_or_a_shell_word(text: str) -> None:
    try:
        check_user_name(text)
    except NodeNameError:
        return
    assert not text.startswith("-")
    assert not set(text) & set(" ;|&<>()`'\"\\\n\r\t*?[]{}!%~#=/@:")


@pytest.mark.parametrize("clustershell_folder", ["packaged", "none"])
def test_the_packaged_example_groups_are_never_used(clustershell_folder: str, tmp_path: object) -> None:
    """In a fresh interpreter, for ClusterShell reads its places at import."""
    code = "from clbalance.transport.groups import load_groups; print(load_groups(None))"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    if clustershell_folder == "packaged":
        environment["CLUSTERSHELL_CFGDIR"] = f"{sys.prefix}/etc/clustershell"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("None\n", "")


NAMES = st.lists(st.from_regex(r"[a-c0-2][a-c0-2.-]{0,5}", fullmatch=True), min_size=1, max_size=12)


@given(NAMES)
def test_lists_of_names_read_and_fold_as_clustershell_does_it(names: list[str]) -> None:
    whole = NodeSet.fromlist(names, resolver=RESOLVER_NOGROUP)
    assert list(NodeSets(None).expand(",".join(names))) == list(whole)
    assert fold([NodeName(name) for name in names]) == str(whole)
