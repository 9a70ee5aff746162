"""What is wrong, where, and what to type instead."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.errors import ExitCode, SettingsError
from clbalance.settings.document import checked

from .conftest import Place


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        pytest.param("[ssh]\nfanout = \n", "line 2, column 10", "toml.io", id="a syntax error has its line"),
        pytest.param("[ssh]\nfanout = 1\nfanout = 2\n", "line 3", "toml.io", id="a key given twice has its line"),
        pytest.param("ssh = 3\n", "`ssh` is 3", "make it a table: `[ssh]`", id="a value in place of a table"),
        pytest.param("[shh]\n", "unknown key `shh`", "did you mean `ssh`?", id="the nearest table is named"),
        pytest.param("[ssh]\nfan_out = 3\n", "unknown key `ssh.fan_out`", "`ssh.fanout`?", id="the nearest key is named"),
        pytest.param("fanout = 3\n", "unknown key `fanout`", "did you mean `ssh.fanout`?", id="a key out of its table"),
        pytest.param('"ssh.fanout" = 3\n', 'unknown key `"ssh.fanout"`', "`ssh`", id="a quoted dotted key is not a path"),
        pytest.param("[zz]\n", "unknown key `zz`", "`nodes`, `plugins`, `policy`", id="without a near one all are listed"),
        pytest.param('[ssh]\nfanout = "3"\n', "is the string '3'", "a whole number from 1", id="a string for a number"),
        pytest.param("[ssh]\nfanout = true\n", "is the boolean true", "a whole number", id="true is not 1"),
        pytest.param("[ssh]\nfanout = 2.5\n", "is 2.5", "a whole number", id="half a connection"),
        pytest.param("[ssh]\nfanout = 0\n", "is 0", "from 1 to 10000", id="out of range"),
        pytest.param("[ssh]\nfanout = 1_0\nuser = 3\n", "`ssh.user` is 3", "a login name", id="a number for a name"),
        pytest.param('[ssh]\nuser = "-oProxyCommand=x"\n', "`ssh.user`", "a login name", id="no option as a user"),
        pytest.param("[ssh]\nconnect_timeout_s = nan\n", "is nan", "from 0.1 to 3600", id="nan is no duration"),
        pytest.param("[thresholds]\nut_pct = inf\n", "is inf", 'from 0 to 100, or `"off"`', id="no infinite limit"),
        pytest.param("[thresholds]\nut_pct = 1979-05-27\n", "is a date", "a number", id="a date for a number"),
        pytest.param("[rebalance]\nguaranteed = 1\n", "`rebalance.guaranteed` is 1", "`true` or `false`", id="1 is not true"),
        pytest.param('[rebalance]\nguaranteed = "off"\n', "is the string 'off'", "`true` or `false`", id="a boolean has no off"),
        pytest.param('[rebalance]\nmax_moves = "off"\n', "is the string 'off'", "a whole number from 0", id="no moves without end"),
        pytest.param("[rebalance]\nhigh = true\n", "is the boolean true", 'or `"off"`', id="true is no level"),
        pytest.param('[policy]\nname = "best"\n', "the string 'best'", '"least"', id="an unknown policy, and those there are"),
        pytest.param("[policy]\nweights = []\n", "is an array", "`[policy.weights]`", id="an array in place of a table"),
        pytest.param('[nodes]\nset = "n1"\n', "`nodes` is a table", "`[[nodes]]`", id="one bracket too few"),
        pytest.param("[[nodes]]\ncpu_factor = 2\n", "`nodes[1]` has no `set`", "which nodes", id="facts of no nodes"),
        pytest.param(
            '[[nodes]]\nset = "n1"\n[[nodes]]\nset = "n2"\ncpu_facto = 1\n',
            "`nodes[2].cpu_facto`",
            "`nodes[2].cpu_factor`?",
            id="the entry is numbered",
        ),
        pytest.param('[[nodes]]\nset = "n1"\nlabels = "r1"\n', "`nodes[1].labels` is the string 'r1'", 'rack = "r1"', id="labels that are no table"),
        pytest.param('[[nodes]]\nset = "n1"\nlabels = { rack = 1 }\n', "a table where rack is 1", "table of strings", id="a label that is a number"),
        pytest.param('[[nodes]]\nset = "n1"\nlabels = { "a-b" = "x" }\n', "a table with the name 'a-b'", "letters, digits", id="a label that is no word"),
        pytest.param('[[nodes]]\nset = "n1"\ntaints = "x"\n', "`nodes[1].taints` is the string 'x'", '["maintenance"]', id="taints that are no array"),
        pytest.param('[[nodes]]\nset = "n1"\ntaints = ["a b"]\n', "an array with the string 'a b'", '["maintenance"]', id="a taint with a blank"),
        pytest.param('[[nodes]]\nset = "n1"\ntaints = [3]\n', "an array with 3", '["maintenance"]', id="a taint that is a number"),
        pytest.param(b"[ssh]\nuser = \"\xff\"\n", "line 2 is not UTF-8", "UTF-8", id="bytes that are not UTF-8 have their line"),
        pytest.param("[ssh]\n".encode("utf-16"), "UTF-16, not UTF-8", "iconv", id="another encoding is named"),
        pytest.param("[ssh]\n".encode("utf-16-le"), "UTF-16LE, not UTF-8", "iconv", id="also without its mark"),
        pytest.param("a = " + "[" * 5000, "nested too deeply", "", id="nesting without end"),
        pytest.param("#" * 1_100_000, "larger than", "", id="a file without end"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_with_its_place_and_what_would_do(
    place: Place, text: str | bytes, message: str, hint: str
) -> None:
    file = place.write(place.project, text)

    with pytest.raises(SettingsError) as caught:
        place.load()

    assert caught.value.message.startswith(f"{file}: ")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("mode", [0o646, 0o666], ids=oct)
def test_a_file_that_others_may_write_is_refused(place: Place, mode: int) -> None:
    file = place.write(place.user, "", mode)

    with pytest.raises(SettingsError, match="others may write to it") as caught:
        place.load()

    assert caught.value.hint == f"type `chmod {'o-w' if os.geteuid() else 'go-w'} {file}`"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_a_stranger_is_refused(place: Place) -> None:
    os.chown(place.write(place.project, ""), 54321, -1)

    with pytest.raises(SettingsError, match="belongs to uid 54321"):
        place.load()


def test_a_fifo_is_refused_at_once(place: Place) -> None:
    os.mkfifo(place.project, 0o600)

    with pytest.raises(SettingsError, match="not a regular file"):
        place.load()


def test_a_folder_of_that_name_is_refused(place: Place) -> None:
    place.project.mkdir()

    with pytest.raises(SettingsError, match="Is a directory"):
        place.load()


def test_a_named_file_must_exist(place: Place) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        place.load({"CLBALANCE_CONFIG": "missing.toml"})


def test_a_link_to_a_file_of_ours_is_followed(place: Place) -> None:
    file = place.write(place.root / "dotfiles.toml", "[ssh]\nfanout = 5\n")
    place.user.symlink_to(file)

    assert place.load().ssh.fanout == 5


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_NAMES = st.sampled_from(["ssh", "fanout", "policy", "weights", "nodes", "set", "thresholds", "a.b", ""]) | st.text(
    max_size=5
)
_TABLES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=12
)


@settings(deadline=None)
@given(st.dictionaries(_NAMES, _TABLES, max_size=4))
def test_any_tables_at_all_are_settings_or_a_settings_error(tables: dict[str, object]) -> None:
    with contextlib.suppress(SettingsError):
        checked("file", tables)


def test_the_search_stops_in_this_folder(place: Place) -> None:
    place.write(place.project.parent.parent / "clbalance.toml", "not toml at all")

    assert place.load().ssh.fanout == 64


def test_a_home_that_is_closed_to_us_holds_no_settings(tmp_path: Path) -> None:
    class Closed(type(tmp_path)):  # type: ignore[misc]  # the concrete class of Path is only known at run time
        def exists(self) -> bool:
            raise PermissionError(13, "Permission denied", str(self))

    from clbalance.settings.load import load_settings

    assert load_settings({}, tmp_path, system_file=Closed(tmp_path / "x")).ssh.fanout == 64
