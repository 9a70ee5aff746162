"""What is asked, and how answers become figures: values and trivial processes, nothing is measured."""

from pathlib import Path

import pytest

from .__main__ import ASKED, main
from .asking import OURS, answers, asked_in, figures
from .figure import Figure, Run, Skipped, Spread, table
from .programs import ROOT, Programs, known_programs
from .question import Peer, Question, chosen, listed, unknown
from .site import Place, Site, WrongRunError, timed
from .tasks import forget, from_first_to_last_s, least_s, sleeps

QUESTION = Question("q", "something", "true", (Peer("one", "true", limit=0.5), Peer("slow", "true", rounds=1)))


def run(wall_s: float, cpu_s: float = 1.0, all_cpu_s: float | None = None) -> Run:
    return Run(wall_s=wall_s, cpu_s=cpu_s, all_cpu_s=all_cpu_s)


def site(folder: Path, **missing: str) -> Site:
    return Site(folder=folder, rounds=2, programs=Programs({}, missing))


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_pairs() -> None:
    pairs = [(1.0, 4.0), (2.0, 2.0), (9.0, 3.0)]
    (figure,) = figures(QUESTION, [{OURS: run(ours), "one": run(theirs)} for ours, theirs in pairs])
    assert figure.value == pytest.approx(2 / 3)
    assert figure.ratios == Spread(q1=0.625, median=1.0, q3=2.0)
    assert figure.ours_s == Spread(q1=1.5, median=2.0, q3=5.5)
    assert (figure.pairs, figure.limit, figure.holds) == (3, 0.5, False)


def test_a_peer_that_is_asked_once_is_compared_with_ours_of_that_round() -> None:
    rounds = [{OURS: run(1.0), "one": run(1.0), "slow": run(10.0)}, {OURS: run(100.0), "one": run(1.0)}]
    by_peer = {figure.peer: figure for figure in figures(QUESTION, rounds)}
    assert (by_peer["slow"].value, by_peer["slow"].pairs) == (0.1, 1)
    assert (by_peer["one"].value, by_peer["one"].pairs) == (50.5, 2)


def test_a_slow_peer_has_no_round_that_does_not_count() -> None:
    assert [at for at in range(4) if asked_in(Peer("slow", "true", rounds=2), at)] == [1, 2]
    assert [at for at in range(4) if asked_in(Peer("one", "true"), at)] == [0, 1, 2, 3]


def test_a_peer_without_an_answer_has_no_figure() -> None:
    assert list(figures(QUESTION, [{OURS: run(1.0)}])) == []


def test_processor_time_with_nodes_is_unknown_where_one_run_has_none() -> None:
    rounds = [{OURS: run(1.0, 2.0, 3.0), "one": run(1.0, 1.0, 1.5)}, {OURS: run(1.0, 2.0), "one": run(1.0, 1.0, 1.5)}]
    (known,), (partly,) = (list(figures(QUESTION, some)) for some in (rounds[:1], rounds))
    assert (known.cpu_ratio, known.all_cpu_ratio) == (2.0, 2.0)
    assert (partly.cpu_ratio, partly.all_cpu_ratio) == (2.0, None)


def test_a_calculated_bound_has_a_ratio_and_no_processor_time(tmp_path: Path) -> None:
    question = Question("q", "something", "true", (Peer("bound", seconds=1e6, limit=1.0),))
    (figure,) = answers(question, site(tmp_path), None)
    assert isinstance(figure, Figure)
    assert (figure.holds, figure.cpu_ratio, figure.theirs_s) == (True, None, Spread.of([1e6]))


def test_a_peer_that_is_missing_or_fails_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    peers = (Peer("gone", "true"), Peer("one", "true"), Peer("broken", "sh -c 'echo no {folder} >&2; exit 3'"))
    told = list(answers(Question("q", "something", "true", peers), site(tmp_path, gone="not installed"), None))
    assert [one.peer for one in told if isinstance(one, Figure)] == ["one"]
    skipped = {one.peer: one.reason for one in told if isinstance(one, Skipped)}
    assert skipped["gone"] == "not installed"
    assert skipped["broken"].endswith("exit code 3: no FOLDER/q")
    assert str(tmp_path) not in skipped["broken"]


def test_ours_that_fails_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(WrongRunError, match="exit code 1"):
        list(answers(Question("q", "something", "false", (Peer("one", "true"),)), site(tmp_path), None))


def test_a_program_that_is_not_there_is_a_wrong_run() -> None:
    with pytest.raises(WrongRunError, match="no-such-program"):
        timed(["no-such-program"], {"PATH": "/usr/bin:/bin"})


def test_what_a_question_prints_may_say_how_long_it_took(tmp_path: Path) -> None:
    question = Question("q", "something", "printf 7", (Peer("bound", seconds=14.0),), seconds=float)
    (figure,) = answers(question, site(tmp_path), None)
    assert isinstance(figure, Figure)
    assert figure.value == 0.5


def test_the_tree_that_is_measured_is_the_one_that_the_benchmarks_lie_in(tmp_path: Path) -> None:
    assert site(tmp_path).environment()["PYTHONPATH"] == str(ROOT)
    assert Path(__file__).is_relative_to(ROOT / "tests")


def test_folders_are_filled_in_and_a_blank_in_one_parts_no_words(tmp_path: Path) -> None:
    place = Place(site(tmp_path), tmp_path / "a b", None)
    assert place.words("x '{folder}/y z' {nodes}") == ["x", f"{tmp_path}/a b/y z"]


def test_every_peer_is_a_program_that_is_looked_for() -> None:
    asked = {peer.program for one in ASKED if isinstance(one, Question) for peer in one.peers}
    assert asked <= known_programs()


def test_names_are_unique_and_a_word_that_is_none_stands_for_all_that_begin_with_it() -> None:
    names = [one.name for one in ASKED]
    assert len(names) == len(set(names))
    assert {one.name for one in chosen(ASKED, ["copy"])} >= {"copy-large", "copy-small-all"}
    assert [one.name for one in chosen(ASKED, ["load", "version"])] == ["version", "load"]
    assert unknown(ASKED, ["copy", "cop"]) == ["cop"]


def test_the_list_shows_each_question_with_its_peers_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert shown == listed(ASKED)
    assert len(shown.splitlines()) == len(ASKED)
    assert "tasks " in shown
    assert "against HyperQueue (at most 1), GNU parallel (at most 0.02)" in shown


def test_an_unknown_question_is_refused_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["no-such"])
    assert refused.value.code == 2
    assert "no question `no-such`; `--list` shows them" in capsys.readouterr().err


def test_the_least_time_is_an_even_share_or_the_longest_task() -> None:
    assert least_s([1.0, 1.0, 1.0, 1.0], slots=2) == 2.0
    assert least_s([9.0, 1.0, 1.0, 1.0], slots=2) == 9.0
    assert sleeps() == sleeps()


def test_the_time_of_tasks_is_from_the_first_start_to_the_last_end() -> None:
    printed = b"""{"jobs": [{"tasks": [
        {"started_at": "2026-01-01T00:00:03+00:00", "seconds": 1.0},
        {"started_at": "2026-01-01T00:00:02.5+00:00", "seconds": 4.0},
        {"started_at": "2026-01-01T00:00:06+00:00", "seconds": 0.25}]}]}"""
    assert from_first_to_last_s(printed) == pytest.approx(4.0)


def test_a_table_has_a_line_for_each_figure_and_marks_what_is_beyond_its_limit() -> None:
    found = table([*figures(QUESTION, [{OURS: run(1.0), "one": run(1.0)}]), Figure(name="m", value=3.0, unit="ms")])
    heads, first, second = found.splitlines()
    assert heads.split()[:3] == ["question", "against", "ratio"]
    assert first.split()[:3] == ["q", "one", "1.00"]
    assert " NO " in first
    assert "3.00 ms" in second


def test_where_durations_are_not_known_nothing_is_remembered_from_the_round_before(tmp_path: Path) -> None:
    before = {one.name: one.before for one in ASKED if isinstance(one, Question)}
    assert before["sleeps"] is forget
    (tmp_path / "state").mkdir()
    for _ in range(2):
        forget(Place(site=site(tmp_path), folder=tmp_path, lab=None))
    assert list(tmp_path.iterdir()) == []
