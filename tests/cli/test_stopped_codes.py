"""The exit code of a command that was stopped, whatever goes wrong while it ends."""

import pytest

from clbalance.cli import app
from clbalance.errors import ClbalanceError, Interrupted, StoreError


def _failing_cleanup(stopped: bool) -> ClbalanceError:
    try:
        try:
            if stopped:
                raise Interrupted(15)
        finally:
            raise StoreError("no space left")
    except ClbalanceError as error:
        return error


@pytest.mark.parametrize(("stopped", "rc"), [(True, 143), (False, 125)])
def test_an_error_after_a_signal_does_not_hide_the_signal(
    stopped: bool, rc: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.exit_code_of(["run"], _failing_cleanup(stopped)) == rc
    assert "no space left" in capsys.readouterr().err
