"""What is said beside the data."""

import pytest

from clbalance.render import messages


@pytest.mark.parametrize(
    ("awaited", "names", "width", "message"),
    [
        pytest.param(1, "node4", 80, "7/8 nodes have answered, waiting for node4", id="who is awaited"),
        pytest.param(1, "node4", 43, "7/8 nodes have answered, waiting for node4", id="as long as the line allows"),
        pytest.param(1, "node4", 42, "7/8 nodes have answered", id="names that do not fit are left out, not cut"),
        pytest.param(5, None, 80, "3/8 nodes have answered", id="too many to be named"),
        pytest.param(0, "", 80, "8/8 nodes have answered", id="nobody is awaited"),
        pytest.param(1, "node4", 10, "7/8 nodes", id="never more than the line, or wiping it leaves some"),
    ],
)
def test_progress_of_a_sweep_fits_one_line(awaited: int, names: str | None, width: int, message: str) -> None:
    assert messages.sweep_progress(8, awaited, names, width) == message
