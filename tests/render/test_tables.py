import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Measured, Trend, Unknown
from clbalance.render.format import Format
from clbalance.render.report import Display
from clbalance.render.reports.jobs.explain import runner_up
from clbalance.render.reports.nodes.load import LoadReport, load_table
from clbalance.render.table import Cell, Column, Table, aligned, fit
from clbalance.render.views import NodeRow, least_loaded_first, load_per_cpu

from .build import LEASED, UNREADABLE, busy, drained, gpu, measured, plan, score, silent, small_cluster, up


def _shown(rows: Sequence[NodeRow], width: int | None = None, color: bool = False) -> str:
    return LoadReport(rows).human(Display(form=Format.HUMAN, width=width, color=color))


def _order(*rows: object) -> list[str]:
    return [row.node for row in least_loaded_first(rows)]  # type: ignore[attr-defined, type-var]


def test_the_best_score_comes_first_and_silence_last() -> None:
    rows = small_cluster()
    assert _order(*rows) == ["node1", "node10", "node5", "node4", "node2", "node3", "node7", "node12"]
    assert _order(*reversed(rows)) == _order(*rows)


def test_unranked_nodes_are_ordered_by_load_per_cpu() -> None:
    assert _order(up("a", None, r1m=8.0, cpus=64), up("b", None, r1m=4.0, cpus=4)) == ["a", "b"]


def test_equal_nodes_are_ordered_as_people_count() -> None:
    assert _order(up("node10"), up("node9"), up("node1a")) == ["node1a", "node9", "node10"]


def test_what_was_just_placed_counts_as_load() -> None:
    assert load_per_cpu(measured("n", r1m=1.0, debt_cpus=3.0, cpus=4)) == 1.0


def test_load_per_cpu_without_cpus_is_unknown() -> None:
    assert load_per_cpu(measured("n", cpus=0)) == Unknown(reason="no cpu online")


def test_a_silent_node_shows_a_dash_in_every_column_and_its_reason() -> None:
    *_, line = _shown([up("node1"), silent("node2", "No route to host")]).splitlines()
    assert re.fullmatch(r"node2 +down +(- +)+unreachable: No route to host", line)
    assert line.count(" -") == len(load_table([up("node1")]).columns) - 2


def test_an_unknown_index_is_a_dash_and_never_a_zero() -> None:
    table = load_table([up("n", memory=Unknown(reason="x"), pressure=Unknown(reason="y"))])
    cells = {column.heading: cell.text for column, cell in zip(table.columns, table.rows[0], strict=True)}
    assert (cells["MEM"], cells["SWP"], cells["PSI"], cells["CPUS"]) == ("-", "-", "-", "32")


def test_a_busy_index_is_marked_without_colour_too() -> None:
    line = _shown([busy("n", ["r1m", "psi_io"], "load is 1.41", r1m=45.0)]).splitlines()[1]
    assert "*1.41" in line
    assert "1/0/*12" in line


def _cells(row: NodeRow) -> dict[str, str]:
    table = load_table([row])
    return {column.heading: cell.text for column, cell in zip(table.columns, table.rows[0], strict=True)}


def test_leases_are_counted_also_those_that_cannot_be_read() -> None:
    assert _cells(up("n", leases=[LEASED, UNREADABLE]))["LEASES"] == "2"
    assert _cells(up("n", leases=Unknown(reason="timed out")))["LEASES"] == "-"


STEADY = Trend(count=4, mean=1.0, deviation=0.0, least=1.0, most=1.0, span_s=1800.0)


def test_a_leased_gpu_is_not_free_though_it_looks_so() -> None:
    assert _cells(up("n", gpus=[gpu(0), gpu(1)], leases=[LEASED]))["GPUS"] == "1/2 free"


def test_a_drained_node_says_why() -> None:
    cells = _cells(drained("n", "draining", leases=[LEASED]))
    assert (cells["STATE"], cells["REASON"]) == ("draining", "disk (by root)")


def test_gpus_are_told_apart_in_the_table_and_what_wants_a_person_is_explained() -> None:
    idle = {"gut_pct GPU-1": STEADY, "gmem_pct GPU-1": replace(STEADY, least=75.0, most=75.0)}
    devices = [gpu(0), gpu(1, used_gib=60, holder="jupyter"), replace(gpu(2), fault="Xid 79"), gpu(3, use_pct=90.0)]
    row = up("n", gpus=[*devices, gpu(4, use_pct=Unknown(reason="[N/A]"))])
    assert isinstance(row.answer, Measured)
    cells = _cells(replace(row, answer=replace(row.answer, trends=idle)))
    assert cells["GPUS"] == "1/5 free 1 held idle 1 faulty 1 unknown"
    assert cells["REASON"] == (
        "GPU 1 held idle: 60 GiB held by jupyter (pid 4711), at most 1% used at 4 looks over 30 min, GPU 2 faulty: Xid 79, "
        "GPU 4 unknown: use unknown: [N/A]"
    )


def test_gpus_that_were_not_told_say_why() -> None:
    cells = _cells(up("n", gpus=Unknown(reason="`nvidia-smi` timed out")))
    assert (cells["GPUS"], cells["REASON"]) == ("-", "GPUs unknown: `nvidia-smi` timed out")


def test_gpus_get_a_column_only_where_there_are_any() -> None:
    assert "GPUS" not in _shown([up("a"), silent("b")])
    assert "1/2 free" in _shown([up("a"), up("b", gpus=[gpu(), gpu(1, used_gib=40)])])
    assert "GPUS" in _shown([up("a", gpus=Unknown(reason="nvidia-smi hung"))])


@pytest.mark.parametrize("width", [75, 80, 100, 132, 200])
def test_a_terminal_is_never_overrun_and_node_names_are_never_cut(width: int) -> None:
    rows = [*small_cluster(), up("gpu-a100-rack17-node042")]
    text = _shown(rows, width)
    assert max(map(len, text.splitlines())) <= width
    assert all(row.node in text for row in rows)


def test_on_a_terminal_too_narrow_the_lines_are_whole_and_wrap() -> None:
    text = _shown(small_cluster(), 20)
    assert len(text.splitlines()) == len(small_cluster()) + 1
    assert "100G/125G" in text


@given(st.integers(1, 300))
def test_a_wider_terminal_never_shows_fewer_columns(width: int) -> None:
    table = load_table(small_cluster())
    assert len(fit(table, width).columns) <= len(fit(table, width + 1).columns)


def test_a_pipe_gets_every_column_and_every_reason_whole() -> None:
    text = _shown(small_cluster())
    assert "connect to host node7 port 22: No route to host" in text
    assert "\x1b" not in text
    assert "…" not in text


def test_colour_adds_nothing_but_colour() -> None:
    colored = _shown(small_cluster(), 100, color=True)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert colored != bare
    assert [line.rstrip() for line in bare.splitlines()] == _shown(small_cluster(), 100).splitlines()


def test_no_nodes_make_a_table_of_headings() -> None:
    assert _shown([]).split()[:2] == ["NODE", "STATE"]
    assert _shown([], 80).split()[:2] == ["NODE", "STATE"]


def test_a_table_without_a_terminal_imports_no_rich() -> None:
    program = (
        "import sys; from clbalance.render.report import *; from clbalance.render.reports.nodes.load import LoadReport;"
        "assert Display(form=Format.HUMAN).text(LoadReport([]));"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_markup_in_a_reason_is_text() -> None:
    for width in (200, None):
        assert "[bold]rack[a-c][/]" in _shown([silent("n", "[bold]rack[a-c][/] [link=http://evil]x")], width)


def test_a_table_of_one_column_can_be_drawn() -> None:
    table = Table(columns=(Column(heading="A"),), rows=((Cell("x"),), (Cell("yyy"),)))
    assert aligned(table) == "A\nx\nyyy\n"


@pytest.mark.parametrize(
    ("others", "message"),
    [
        pytest.param([], "", id="nobody else"),
        pytest.param([score("b", 80.0)], "runner-up: b, 10 points behind a", id="by how much"),
        pytest.param([score("b", 90.0)], "runner-up: b, as good as a: chosen at random", id="a tie was drawn"),
    ],
)
def test_how_close_it_was(others: list[object], message: str) -> None:
    assert runner_up(plan([score("a", 90.0), *others], ["a"])) == message  # type: ignore[list-item]


def test_nothing_chosen_has_no_runner_up() -> None:
    assert runner_up(plan([score("a", 90.0)], [], wanted=2)) == ""
