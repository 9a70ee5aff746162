"""An answer that was kept comes back as it was, and what makes no sense is none."""

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Cause, Measured, NodeName, Rates, Silent, Unknown
from clbalance.probe.frame import Section
from clbalance.probe.kept_answer import KeptSections, pack, unpack
from clbalance.probe.reading import parse_reading

A = NodeName("a")
RATES = Rates(span_s=30.0, ut_pct=12.5, disk_bytes_per_s=Unknown(reason="no disk"), net_bytes_per_s=0.0)
SECTIONS = st.dictionaries(
    st.text("abc_", min_size=1, max_size=5),
    st.builds(Section, text=st.text(max_size=40), status=st.none() | st.sampled_from(["0", "absent"])),
    max_size=4,
)


def measured(rates: Rates | Unknown = RATES) -> Measured:
    return Measured(node=A, reading=parse_reading({}), rates=rates, rtt_s=0.1)


@settings(deadline=None)
@given(SECTIONS)
def test_what_a_node_has_sent_comes_back_as_it_was(sections: dict[str, Section]) -> None:
    kept = unpack(A, pack(measured(), sections))
    assert isinstance(kept, KeptSections)
    assert kept.sections == sections


def test_the_rates_come_back_and_what_was_unknown_stays_so() -> None:
    kept = unpack(A, pack(measured(), {}))
    assert isinstance(kept, KeptSections)
    assert isinstance(kept.rates, Rates)
    assert (kept.rates.span_s, kept.rates.ut_pct, kept.rates.net_bytes_per_s) == (30.0, 12.5, 0.0)
    assert isinstance(kept.rates.disk_bytes_per_s, Unknown)
    unknown = unpack(A, pack(measured(Unknown(reason="first")), {}))
    assert isinstance(unknown, KeptSections)
    assert isinstance(unknown.rates, Unknown)


@pytest.mark.parametrize("reason", ["Permission denied", "\udcff\x1b[31m", ""])
def test_a_silent_node_is_silent_for_the_same_reason(reason: str) -> None:
    kept = unpack(A, pack(Silent(node=A, cause=Cause.AUTH, reason=reason), {}))
    assert isinstance(kept, Silent)
    assert (kept.node, kept.cause) == (A, Cause.AUTH)


def _packed(value: object) -> bytes:
    return zlib.compress(json.dumps(value).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 100,
        pack(Silent(node=A, cause=Cause.AUTH, reason="no"), {})[:-7],
        zlib.compress(b"[" * 100_000),
        zlib.compress(b"\xff\xfe"),
        zlib.compress(b'"' + b"a" * (1 << 21) + b'"'),
        *(_packed(value) for value in (None, 1, [], {}, {"cause": "bored", "reason": ""}, {"cause": "hung"})),
        *(_packed({"sections": value}) for value in (None, [], {"a": "b"}, {"a": [1, "0"]}, {"a": ["x"]})),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_what_makes_no_sense_is_no_answer(content: bytes) -> None:
    assert unpack(A, content) is None
