import pytest

from clbalance.render.format import Color, wants_color


@pytest.mark.parametrize(
    ("choice", "environment", "terminal", "colored"),
    [
        pytest.param("auto", {}, True, True, id="a terminal gets colours"),
        pytest.param("auto", {}, False, False, id="a pipe gets none"),
        pytest.param("auto", {"NO_COLOR": "1"}, True, False, id="NO_COLOR is obeyed"),
        pytest.param("auto", {"NO_COLOR": ""}, True, True, id="an empty NO_COLOR says nothing"),
        pytest.param("auto", {"CLICOLOR_FORCE": "1"}, False, True, id="CLICOLOR_FORCE colours a pipe"),
        pytest.param("auto", {"CLICOLOR_FORCE": "0"}, False, False, id="CLICOLOR_FORCE=0 says nothing"),
        pytest.param("auto", {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, True, False, id="NO_COLOR beats CLICOLOR_FORCE"),
        pytest.param("auto", {"CLICOLOR": "0"}, True, False, id="CLICOLOR=0 is obeyed"),
        pytest.param("auto", {"TERM": "dumb"}, True, False, id="a dumb terminal gets none"),
        pytest.param("always", {"NO_COLOR": "1"}, False, True, id="the option beats the environment"),
        pytest.param("never", {"CLICOLOR_FORCE": "1"}, True, False, id="and in the other direction"),
    ],
)
def test_who_gets_colours(choice: str, environment: dict[str, str], terminal: bool, colored: bool) -> None:
    assert wants_color(Color(choice), environment, terminal=terminal) is colored
