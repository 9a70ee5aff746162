"""The line of progress of a copy or fetch says what fits, the most important first."""

from dataclasses import replace

import pytest

from clbalance.render.reports.files.progress import FilesProgress, clock, progress_text

_NOW = FilesProgress(
    nodes=8,
    ended=3,
    moved_bytes=120 << 20,
    total_bytes=800 << 20,
    rate=float(40 << 20),
    failed="node[2,5]",
    slowest=("node7", 0.125),
)


def test_it_names_nodes_bytes_rate_time_left_failed_and_slowest() -> None:
    assert progress_text(_NOW, 200) == (
        "3/8 nodes done, 120M of 800M, 40M/s, ETA 0:17, failed: node[2,5], slowest: node7 12%"
    )


@pytest.mark.parametrize("width", range(1, 100))
def test_it_is_shorter_than_the_line_and_cut_between_its_parts(width: int) -> None:
    text = progress_text(_NOW, width)
    assert len(text) < width
    assert progress_text(_NOW, 200).startswith(text)


def test_before_anything_is_known_only_nodes_are_told() -> None:
    begun = replace(_NOW, moved_bytes=0, total_bytes=0, rate=0.0, failed="", slowest=None)
    assert progress_text(begun, 200) == "3/8 nodes done"


def test_a_time_left_that_says_nothing_is_left_out() -> None:
    assert "ETA" not in progress_text(replace(_NOW, rate=1.0), 200)


def test_control_characters_of_a_node_name_are_escaped() -> None:
    assert "\x1b" not in progress_text(replace(_NOW, failed="\x1b[2J", slowest=("\x1b", 0.5)), 200)


def test_times_left_read_as_a_clock() -> None:
    assert [clock(seconds) for seconds in (4.6, 750, 3725)] == ["0:05", "12:30", "1:02:05"]
