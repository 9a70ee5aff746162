"""What can be written, how it is read, and how it is told where it cannot be."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.errors import ExpressionError
from clbalance.policy.expressions.parse import parse_condition, parse_keys
from clbalance.policy.expressions.tree import ComparisonTree, Literal, Name, Tree, ValueType, start_of, text_of
from clbalance.policy.expressions.where import parse_order, parse_where
from clbalance.render.messages import error

from .trees import CONDITIONS, TREES

LABELS = frozenset({"rack", "gen"})
patient = settings(deadline=None)

WRONG = r"""
mem > 20
io < 10M
cpus < 4G
mem_total > 10%
r1m <
r1m < < 2
r1m
rack
not ut
1 < r1m < 2
(r1m < 1
r1m < 1)
r1m < 1 2
and
(r1m < 1) < 2
-(r1m < 1) > 2
r1m + "a" < 2
gpu_modell ~ x
rakk = r1
zzzzzz = 1
gpu_model < 3
gpu_model < "x"
gpu_model > 20G
"A100" = gpu_model
node < x
cuda >= foo
cuda > 5G
r1m = rack
rack > cpus
rack > 5G
mem + ut > 3
ut * psi_io > 3
mem * mem > 3
r1m ~ "a"
gpu_model ~ A100|H100
gpu_model ~ cpus
gpu_model ~ 5
node ~ "a(b"
node ~ "a)b"
node ~ "(?=a)"
node ~ "[a"
node ~ "[b-a]"
node ~ "[a-\d]"
node ~ "*a"
node ~ "a{9,1}"
node ~ "a{1001}"
node ~ "\1"
node ~ "((a{50}){50}){50}"
node ~ "\pL{999}"
node ~ "a**"
node ~ "a
node ~ "a\"
r1m =~ 3
r1m < 3 & ut < 3
ut > 3x
ut > 1.2.3
é < 3
"""


def test_every_mistake_is_told_with_its_place(golden: Callable[[str, str], None]) -> None:
    parts = [_told_of(text) for text in WRONG.strip().splitlines()]
    parts += [error(_error(parse_order, text)) for text in ("rack", "mem:", "r1m < 1", "-(cpus", ":")]
    golden("expression-errors.txt", "\n".join(parts))


def _told_of(text: str) -> str:
    return error(_error(parse_where, text))


def _error(parse: Callable[[str, frozenset[str]], object], text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse(text, LABELS)
    assert 0 <= caught.value.at <= len(text)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("  ", id="blanks"),
        pytest.param("r1m < 1 " * 200, id="more than can be meant"),
        pytest.param("(" * 100 + "r1m < 1" + ")" * 100, id="parentheses without end"),
        pytest.param("not " * 100 + "r1m < 1", id="negations without end"),
        pytest.param("r1m < " + "-" * 100 + "1", id="signs without end"),
        pytest.param(f'node ~ "{"(" * 400}a{")" * 399}"', id="groups without end"),
        pytest.param('node ~ "a\\', id="a last backslash"),
    ],
)
def test_what_is_no_expression_at_all_is_refused(text: str) -> None:
    assert _error(parse_where, text).message.startswith("`--where`")


@patient
@given(TREES)
def test_what_is_printed_is_read_as_the_same(tree: Tree) -> None:
    assert parse_condition("--where", text_of(tree)) == tree


@patient
@given(st.lists(CONDITIONS, min_size=1, max_size=2))
def test_what_makes_sense_makes_the_same_sense_when_printed(texts: list[str]) -> None:
    text = " or ".join(f"({text})" for text in texts)
    where = parse_where(text, LABELS)
    assert parse_where(where.text, LABELS).text == where.text


@patient
@given(st.text("abr1m <>=!~&|()+-*/%:\"'.\\x", max_size=20))
def test_any_text_at_all_is_an_expression_or_an_error(text: str) -> None:
    for parse in (parse_where, parse_order):
        with contextlib.suppress(ExpressionError):
            parse(text, LABELS)


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("a<1&&b>2||!c=d", "a < 1 and b > 2 or not c = d"),
        ("a AND b Or NOT c", "a and b or not c"),
        ("(a or b) and c", "(a or b) and c"),
        ("((a)) == 'x'", 'a = "x"'),
        ("a-b-c - (d-e)", "a - b - c - (d - e)"),
        ("-(a+b)*c/-d", "-(a + b) * c / -d"),
        (r"""a ~ 'it\'s'""", 'a ~ "it\'s"'),
        (r'''a ~ "\d+\.x"''', r'''a ~ "\d+\.x"'''),
        (r"""a ~ '\"'""", r"""a ~ '\"'"""),
        (r'''a ~ "say \"x\""''', r'''a ~ "say \"x\""'''),
        ("(a<1) = (b>2)", "(a < 1) = (b > 2)"),
    ],
)
def test_each_way_to_write_is_printed_in_one(text: str, read_as: str) -> None:
    assert text_of(parse_condition("--where", text)) == read_as


def test_names_are_told_once_and_places_are_those_of_the_text() -> None:
    (part,) = parse_where('r1m + ut < -r1m and not rack ~ "x" or 5 < cpus').of_node
    assert part.names == ("r1m", "ut", "rack", "cpus")
    assert [start_of(key) for key in parse_keys("--order", "a : b * 2")] == [0, 4]
    compared = parse_condition("--where", " a < 20G")
    assert isinstance(compared, ComparisonTree)
    assert (compared.left, start_of(compared)) == (Name(name="a"), 1)
    assert compared.right == Literal(kind=ValueType.SIZE, text="20G")
