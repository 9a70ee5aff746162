"""Groups are looked at before somebody needs one, and no group costs the look at the others."""

from pathlib import Path

import pytest

from clbalance.transport.group_check import GroupsSeen, look_at_groups
from clbalance.transport.groups import load_groups


@pytest.fixture(autouse=True)
def _only_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))


def seen(tmp_path: Path, upcalls: str) -> GroupsSeen:
    conf = tmp_path / "groups.conf"
    conf.write_text(f"[Main]\ndefault: mine\n[mine]\n{upcalls}\n")
    resolver = load_groups(conf)
    assert resolver is not None
    return look_at_groups(resolver)


def test_empty_groups_and_those_with_bad_names_are_told_and_good_ones_are_not(tmp_path: Path) -> None:
    upcalls = "map: case $GROUP in good) echo n[1-2] ;; bad) echo 'x;y' ;; esac\nlist: echo good bad void"
    found = seen(tmp_path, upcalls)
    assert found.empty == ("void",)
    assert found.unusable.keys() == {"bad"}


def test_a_group_whose_own_name_is_bad_never_reaches_its_command(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    found = seen(tmp_path, f"map: echo $GROUP\nlist: echo 'a;touch${{IFS}}{canary}'")
    assert len(found.unusable) == 1
    assert not canary.exists()


def test_a_source_that_cannot_list_its_groups_has_none_to_look_at(tmp_path: Path) -> None:
    assert seen(tmp_path, "map: echo n1") == GroupsSeen(unusable={})


def test_a_list_that_fails_is_told(tmp_path: Path) -> None:
    assert seen(tmp_path, "map: echo n1\nlist: exit 3").unusable.keys() == {"*"}


def test_of_very_many_groups_only_the_first_are_looked_at(tmp_path: Path) -> None:
    assert len(seen(tmp_path, "map: true\nlist: seq -f g%03g 300").empty) == 200
