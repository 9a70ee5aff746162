"""Trees at random: those that the grammar can read, and of those the ones that make sense."""

from hypothesis import strategies as st

from clbalance.policy.expressions.tree import (
    Arithmetic,
    ComparisonTree,
    Junction,
    Literal,
    Name,
    Negative,
    Not,
    Tree,
    ValueType,
)

WORDS = st.from_regex(r"[a-z_][a-z0-9_.]{0,6}", fullmatch=True).filter(lambda word: word not in {"and", "or", "not"})
LITERALS = st.one_of(
    st.builds(
        Literal, kind=st.just(ValueType.NUMBER), text=st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,2})?", fullmatch=True)
    ),
    st.builds(Literal, kind=st.just(ValueType.SIZE), text=st.from_regex(r"[0-9]{1,3}[KMGT]", fullmatch=True)),
    st.builds(Literal, kind=st.just(ValueType.PERCENT), text=st.from_regex(r"[0-9]{1,2}%", fullmatch=True)),
    st.builds(
        Literal, kind=st.just(ValueType.VERSION), text=st.from_regex(r"[0-9]{1,3}\.[0-9]\.[0-9]", fullmatch=True)
    ),
    st.builds(Literal, kind=st.just(ValueType.TEXT), text=st.text("ab \"'|~:()é", max_size=6)),
)
SIGNS = st.sampled_from(["<", "<=", ">", ">=", "=", "!=", "~", "!~"])


def grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.one_of(
        st.builds(Negative, operand=inner),
        st.builds(Not, operand=inner),
        st.builds(Arithmetic, operator=st.sampled_from("+-*/"), left=inner, right=inner),
        st.builds(ComparisonTree, operator=SIGNS, left=inner, right=inner),
        st.builds(
            Junction,
            operator=st.sampled_from(["and", "or"]),
            parts=st.lists(inner, min_size=2, max_size=3).map(tuple),
        ),
    )


TREES: st.SearchStrategy[Tree] = st.recursive(st.one_of(LITERALS, st.builds(Name, name=WORDS)), grown, max_leaves=12)

_FIGURES = st.sampled_from(["r1m", "ut", "rq", "psi_io", "cpus", "gut", "gpu_temp", "slots"])
_CONDITIONS = st.one_of(
    st.tuples(_FIGURES, st.sampled_from(["<", ">=", "=", "!="]), st.integers(0, 9).map(str)).map(" ".join),
    st.tuples(
        st.sampled_from(["mem", "tmp", "gmem"]), st.sampled_from(["<", ">="]), st.sampled_from(["1M", "50%", "0"])
    ).map(" ".join),
    st.tuples(st.sampled_from(["node", "gpu_model", "rack"]), st.sampled_from(["~", "!~"]), st.just('"[a1]"')).map(
        " ".join
    ),
    st.tuples(st.sampled_from(["cuda", "driver"]), st.sampled_from(["<", ">="]), st.just("12.2")).map(" ".join),
    st.just("rack = a"),
    st.just("ut / psi_io > 1"),
)
CONDITIONS: st.SearchStrategy[str] = st.recursive(
    _CONDITIONS,
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=5,
)
"""Texts that make sense."""
