"""A topology.conf says which nodes are asked through gateways; what it says wrong is told in words."""

from pathlib import Path

import pytest

from clbalance.errors import SettingsError
from clbalance.nodeset import NodeSets
from clbalance.transport.tree.topology import Routes, read_routes


def routes(folder: Path, text: str) -> Routes:
    file = folder / "topology.conf"
    file.write_text(text)
    file.chmod(0o644)
    return read_routes(file, NodeSets(None), "here")


def test_the_nodes_below_gateways_are_behind_them_and_the_gateways_are_not(tmp_path: Path) -> None:
    found = routes(tmp_path, "[routes]\nhere: gw[1-2]\ngw[1-2]: n[1-4]\n")
    assert found.behind == {"n1", "n2", "n3", "n4"}


def test_gateways_behind_gateways_are_behind_them(tmp_path: Path) -> None:
    found = routes(tmp_path, "[routes]\nhere: a,b\na: c\nc: n[1-2]\nb: n[3-4]\n")
    assert found.behind == {"c", "n1", "n2", "n3", "n4"}


def test_this_machine_may_be_one_of_several(tmp_path: Path) -> None:
    assert routes(tmp_path, "[routes]\nhere,there: gw\ngw: n1\n").behind == {"n1"}


def test_the_old_name_of_the_section_is_understood(tmp_path: Path) -> None:
    assert routes(tmp_path, "# comment\n[Main]\nhere: gw\ngw: n1\n").behind == {"n1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "there is no `[routes]` in it", id="an empty file"),
        pytest.param("here: gw\n", "no section headers", id="no section"),
        pytest.param("[routes]\n", "no route begins at this machine, `here`", id="no routes"),
        pytest.param(
            "[routes]\nadmin: gw\n", "no route begins at this machine, `here`", id="routes of another machine"
        ),
        pytest.param("[routes]\nhere: a\na: b\nb: a\n", "`b: a`: loop detected", id="a loop"),
        pytest.param("[routes]\nhere: here\n", "`here: here`: source and destination", id="a way to itself"),
        pytest.param("[routes]\nhere: a,b\na: n1\nb: n1\n", "`b: n1`: convergent path", id="two ways to one node"),
        pytest.param("[routes]\nhere: -oProxyCommand=x\n", "is not a node set", id="an option of ssh as a name"),
        pytest.param("[routes]\nhere: @gw\n", "none are configured", id="a group where there are none"),
        pytest.param("[routes]\nhere: a\nhere: b\n", "already exists", id="the same source twice"),
    ],
)
def test_a_file_that_makes_no_sense_is_named_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=r"topology\.conf") as error:
        routes(tmp_path, text)
    assert message in error.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere: No such file") as error:
        read_routes(tmp_path / "nowhere", NodeSets(None), "here")
    assert error.value.hint == "`--topology none` asks all nodes directly"


def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "topology.conf"
    file.write_text("[routes]\nhere: gw\ngw: n1\n")
    file.chmod(0o666)
    with pytest.raises(SettingsError, match="others may write to it"):
        read_routes(file, NodeSets(None), "here")
