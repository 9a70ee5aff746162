"""The group file: the last jobs' sets, whole at any time, whoever writes."""

import json
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import yaml
from ClusterShell.NodeSet import NodeSet
from ClusterShell.NodeUtils import GroupResolverConfig

from clbalance.errors import StoreError
from clbalance.store.result_groups import FILE, JOBS, add_results, groups_text, keep_results, read_groups

EMPTY = {"ok": "", "failed": ""}


def test_the_unnumbered_sets_are_those_of_the_highest_number_whoever_ends_last() -> None:
    groups = add_results({}, 2, EMPTY | {"ok": "b"})
    groups = add_results(groups, 1, EMPTY | {"failed": "a"})
    assert groups == {"ok": "b", "failed": "", "ok-2": "b", "failed-1": "a"}


def test_a_job_that_ends_once_more_has_its_last_sets_only() -> None:
    groups = add_results(add_results({}, 1, EMPTY | {"failed": "a"}), 1, EMPTY | {"ok": "a"})
    assert groups == {"ok": "a", "failed": "", "ok-1": "a"}


def test_only_the_last_jobs_are_kept() -> None:
    groups: dict[str, str] = {}
    for job in range(1, JOBS + 20):
        groups = add_results(groups, job, EMPTY | {"ok": f"n{job}"})
    assert len(groups) == JOBS + len(EMPTY)
    assert groups["ok-20"] == "n20"
    assert "ok-19" not in groups


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"clb":1}', '{"clb":{"ok":3}}', '{"other":{}}', "[" * 100_000, "\xff"]
)
def test_a_file_that_is_not_ours_or_damaged_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="latin-1")
    keep_results(tmp_path, 1, EMPTY | {"ok": "a"})
    assert read_groups(tmp_path) == {"ok": "a", "failed": "", "ok-1": "a"}


def test_everyone_may_read_it_and_it_is_yaml(tmp_path: Path) -> None:
    keep_results(tmp_path, 1, EMPTY | {"ok": "n[1-3]"})
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o644
    text = (tmp_path / FILE).read_text()
    assert yaml.safe_load(text) == json.loads(text)


def test_clustershell_reads_it_empty_sets_and_unknown_jobs_too(tmp_path: Path) -> None:
    conf = tmp_path / "groups.conf"
    conf.write_text("[Main]\ndefault: clb\nautodir: $CFGDIR\n")
    keep_results(tmp_path, 17, EMPTY | {"ok": "n[1-3],2001:db8::1"})
    resolver = GroupResolverConfig([str(conf)])
    read = [str(NodeSet(f"@clb:{name}", resolver=resolver)) for name in ("ok", "ok-17", "failed", "failed-17", "ok-3")]
    assert read[0] == read[1] != ""
    assert read[2:] == ["", "", ""]
    assert (tmp_path / FILE).read_text() == groups_text(read_groups(tmp_path))


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        for done in [pool.submit(keep_results, tmp_path, job, EMPTY | {"ok": f"n{job}"}) for job in range(1, 41)]:
            done.result()
    assert sum(name.startswith("ok-") for name in read_groups(tmp_path)) == 40
    assert {path.name for path in tmp_path.iterdir()} == {FILE, f"{FILE}.lock"}


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StoreError, match="the groups of job 1 are not kept"):
        keep_results(tmp_path, 1, EMPTY)
    assert {path.name for path in tmp_path.iterdir()} == {FILE, f"{FILE}.lock"}


def test_jobs_and_runs_of_playbooks_leave_each_others_groups_alone() -> None:
    groups = add_results({}, 7, EMPTY | {"ok": "a"})
    groups = add_results(groups, 1, {"play-ok": "b", "play-failed": "c"})
    groups = add_results(groups, 8, EMPTY | {"failed": "d"})
    assert groups == {
        "ok": "",
        "failed": "d",
        "failed-8": "d",
        "ok-7": "a",
        "play-ok": "b",
        "play-failed": "c",
        "play-ok-1": "b",
        "play-failed-1": "c",
    }
