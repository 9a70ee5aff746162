"""What holds of a node: facts, labels and devices, and what is not known."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Allocation, Gpu, Measured, Pressure, Rates, Reading, RunQueue, Unknown
from clbalance.policy.expressions.compile import Meaning
from clbalance.policy.expressions.facts import FACTS, RESERVED, label
from clbalance.policy.expressions.parse import parse_condition
from clbalance.policy.expressions.values import Subject, Truth, devices_of, format_value, version_of
from clbalance.policy.expressions.where import parse_where
from tests.policy.build import UPTIME_S, node
from tests.policy.requests import GIB, card, labelled, mixed, with_cards, without_gpus_known

from .trees import CONDITIONS

patient = settings(deadline=None)
NOT_TOLD = Unknown(reason="not told")


def truth(text: str, answer: Measured, gpu: Gpu | Unknown | None = None) -> Truth:
    holds = Meaning("--where", text, None).condition(parse_condition("--where", text))
    return holds(Subject(answer, gpu))


BIG = replace(labelled("gpu1", r1m=1.0, rack="r1", gen="12.10"), slots=8)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("r1m < 1.5 and cpus = 4", True),
        ("r1m / cpus > 0.5 or rq > 8", True),
        ("not (r1m < 1.5)", False),
        ("-r1m = -1", True),
        ("r1m + 1 = 2 and r1m - 1 = 0 and r1m * 3 = 3", True),
        ("ut < 50", True),
        ("ut < 50%", True),
        ("mem > 85%", True),
        ("mem > 80% and not mem > 95%", True),
        ("50% < mem", True),
        ("mem_total = 1000000B", True),
        ("mem > 1G", False),
        ("mem / 2 < 1M", True),
        ("mem_total * 50% < mem", True),
        ("50% * mem_total < mem", True),
        ("2 * mem > mem", True),
        ("mem / mem_total > 0.8", True),
        ("ut + psi_cpu = 0", True),
        ("ut + r1m = 1", True),
        ("ut * 2 = 0", True),
        ("tmp > 0", True),
        ("0 < tmp", True),
        ('node ~ "^gpu"', True),
        ('node !~ "^gpu"', False),
        ("node = gpu1", True),
        ("node != gpu1", False),
        ("rack = r1", True),
        ("rack = 'r1'", True),
        ("rack != r1", False),
        ("rack ~ r", True),
        ("gen > 12.2", True),
        ("gen = 12.10.0", True),
        ("12.2 < gen", True),
        ("rack = node", False),
        ("slots >= 8", True),
        ("cpu_model = m", True),
        ("cpu_factor = 1", True),
        ("gpus = 0", True),
        ("ls = 0", True),
        ("shelf = s1", False),
        ("shelf != s1", True),
        ("shelf !~ s", True),
        ("not shelf ~ s", True),
        ("shelf >= 2", False),
        ("gmem > 1G", False),
        ("gpu_model ~ A100", False),
        ("-gmem < 0", False),
        ("gmem + 1G > 0", False),
        ("1G + gmem > 0", False),
    ],
)  # fmt: skip
def test_what_is_known_is_true_or_false(text: str, wanted: bool) -> None:
    assert truth(text, BIG) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('gpu_model ~ "A100|H100"', True),
        ("gpu_mem = 40G and gmem > 90%", True),
        ("gmem > 39G", True),
        ("gut <= 5%", True),
        ("cuda >= 12.2", True),
        ("cuda > 12.10", False),
        ("driver >= 535", True),
        ("driver >= 550.54.15", True),
        ("driver < 550.54.15.1", True),
        ("gpu_temp < 40", True),
        ("gpu_index = 0", True),
        ('gpu_uuid = "GPU-0"', True),
    ],
)
def test_facts_of_devices(text: str, wanted: bool) -> None:
    gpu = card()
    assert truth(text, with_cards("n", gpu), gpu) is wanted


@pytest.mark.parametrize(
    "text",
    [
        "r1m < 9", "r5m < 99", "ut < 99", "io < 9", "net < 9", "mem > 0", "mem > 1%", "mem_total > 0", "swp > 1%", "tmp > 1%", "psi_cpu < 99", "psi_mem < 99",
        "psi_io < 99", "cpus > 0", 'cpu_model ~ "."', "ls >= 0", "gpus >= 0", "gut < 99", "cuda > 1", "driver > 1", 'gpu_model ~ "."',
        "-ut < 9", "ut + 1 < 99", "1 + ut < 99", "1 < ut", "r1m / 0 < 1",
    ],
)  # fmt: skip
def test_what_is_not_known_is_neither_true_nor_false(text: str) -> None:
    vague = node("n", r1m=None, cpus=None, mem=None, ut=None, tmp=None, psi=None, gpus=None)
    vague = replace(vague, reading=replace(vague.reading, logins=NOT_TOLD))
    for asked in (text, f"not ({text})", f"{text} and cpu_factor = 1", f"{text} or cpu_factor = 2"):
        assert isinstance(truth(asked, vague, NOT_TOLD), Unknown), asked
    assert truth(f"{text} and cpu_factor = 2", vague, NOT_TOLD) is False
    assert truth(f"{text} or cpu_factor = 1", vague, NOT_TOLD) is True


@pytest.mark.parametrize("text", ['gpu_model ~ "a"', "cuda > 1", "driver < 1"])
def test_a_device_that_does_not_tell_is_unknown(text: str) -> None:
    gpu = card(model="", cuda="", driver="")
    assert truth(text, with_cards("n", gpu), gpu) == Unknown(reason="GPU 0 does not report it")


def test_a_version_that_is_none_is_unknown() -> None:
    assert truth("rack > 2", BIG) == Unknown(reason="'r1' is no version")
    assert truth("cpu_model ~ m", replace(BIG, reading=_with_cpu_model(BIG, ""))) == Unknown(reason="not told")


def _with_cpu_model(answer: Measured, model: str) -> Reading:
    cpus = answer.reading.cpus
    assert not isinstance(cpus, Unknown)
    return replace(answer.reading, cpus=replace(cpus, model=model))


def test_what_was_placed_a_moment_ago_counts() -> None:
    placed = replace(BIG, placed=(Allocation(cpus=2.0, mem_bytes=400_000, uptime_s=UPTIME_S),))
    assert truth("r1m = 3", placed) is True
    assert truth("mem < 60%", placed) is True


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [("12.10", "12.2", 1), ("535", "535.104.12", -1), ("12", "12.0", 0), ("v6.1", "6.1.0-82", 0), ("0", "0.0", 0)],
)
def test_versions_compare_part_by_part(one: str, other: str, order: int) -> None:
    first, second = version_of(one), version_of(other)
    assert first is not None
    assert second is not None
    assert (first > second) - (first < second) == order


@pytest.mark.parametrize("text", ["", "x", "1.", "1..2", "1.2.", "A100", "٣"])
def test_what_does_not_begin_with_a_version_is_none(text: str) -> None:
    assert version_of(text) is None


def test_figures_are_told_as_people_write_them() -> None:
    parts = [format_value(value, "bytes") for value in (19.5 * GIB, 2**41, 2.0**21, 2048, 12)]
    assert parts == ["19.5G", "2T", "2M", "2K", "12B"]
    assert [format_value(40.0, "%"), format_value(0.25, ""), format_value(123456.7, "")] == ["40%", "0.25", "123457"]


def test_no_label_can_be_called_like_a_fact() -> None:
    assert {"r1m", "gpu_model", "and", "not"} <= RESERVED
    assert label("rack")(Subject(BIG)) == "r1"


# -- nodes and their devices --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ('gpu_model ~ "H100"', 'not meeting --where gpu_model ~ "H100"', "gpu_model is A100, A30"),
        ("r1m > 3 and cpus = 4", "not meeting --where r1m > 3", "r1m is 0"),
        ("gpu_model = A100 and gpu_index = 1", "not meeting --where gpu_model = A100 and gpu_index = 1",
         "gpu_model is A100, A30, gpu_index is 0, 1"),
        ("gpu_model = A100 and gut > 5", "not meeting --where gut > 5", "gut is 0%"),
        ("rack = r1", "not meeting --where rack = r1", "no label `rack` there"),
        ("slots > 1", "not meeting --where slots > 1", "slots are not counted there"),
        ("gpu_model = A100 and ut > 5", "not meeting --where ut > 5", "ut is 0%"),
        ("mem > 20G", "not meeting --where mem > 20G", "mem is 879K"),
    ],
)  # fmt: skip
def test_why_not_names_the_part_that_is_false_and_what_is_there(text: str, reason: str, detail: str) -> None:
    unmet = parse_where(text).unmet(mixed("n", "A100", "A30"))
    assert unmet is not None
    assert (unmet.reason, unmet.detail) == (reason, detail)


def test_a_node_without_devices_stands_for_itself() -> None:
    unmet = parse_where('gpu_model ~ "A100"').unmet(node("n"))
    assert unmet is not None
    assert unmet.detail == "no GPU there"
    assert parse_where('gpu_model !~ "A100"').unmet(node("n")) is None


@pytest.mark.parametrize(
    ("answer", "text", "reason", "detail"),
    [
        (node("n", ut=None), "ut < 50", "ut unknown", "not told"),
        (node("n", ut=None), "not ut < 50 and cpus = 4", "ut unknown", "not told"),
        (without_gpus_known("n"), "gut < 50", "gut unknown", "`nvidia-smi` timed out"),
        (node("n", ut=None), "ut < 50 and gpu_model != x", "ut unknown", "not told"),
        (node("n", psi=(0.0, 0.0, 0.0)), "ut / psi_io > 1", "--where ut / psi_io > 1 unknown", "a division by 0"),
        (node("n"), "swp > 10%", "--where swp > 10% unknown", "there is nothing of it"),
        (with_cards("n", card(use=None), card(1, "A30")), "gut < 50 and gpu_model = A100", "gut unknown", "not told"),
        (labelled("n", rack="x"), "rack > 3", "--where rack > 3 unknown", "'x' is no version"),
    ],
)
def test_why_not_names_the_index_that_is_not_known(answer: Measured, text: str, reason: str, detail: str) -> None:
    unmet = parse_where(text).unmet(answer)
    assert unmet is not None
    assert (unmet.reason, unmet.detail) == (reason, detail)


def test_what_is_false_anyway_is_told_before_what_is_not_known() -> None:
    unmet = parse_where("ut < 50 and cpus > 4").unmet(node("n", ut=None))
    assert unmet is not None
    assert unmet.reason == "not meeting --where cpus > 4"
    message = parse_where("gut < 5 and gpu_model = A30").unmet(with_cards("n", card(use=None)))
    assert message is not None
    assert (message.reason, message.detail) == ("not meeting --where gpu_model = A30", "gpu_model is A100")
    both = parse_where("(gut < 5 and gpu_model = A30 or gut > 5) and gpu_index > 3").unmet(
        with_cards("n", card(use=None))
    )
    assert both is not None
    assert both.reason == "not meeting --where gpu_index > 3"
    mixed_up = parse_where("gut < 5 and gut > 1 or gpu_model = x and gut < 1").unmet(
        with_cards("n", card(use=2.0), card(1, use=None))
    )
    assert mixed_up is None


def test_a_false_condition_tells_also_what_it_could_not_read() -> None:
    message = parse_where("ut < 5 and cpus > 4 or cpus > 10").unmet(node("n", ut=None))
    assert message is not None
    assert message.reason == "not meeting --where ut < 5 and cpus > 4 or cpus > 10"
    assert message.detail == "ut is unknown (not told), cpus is 4"


def test_a_long_condition_is_told_shortened() -> None:
    unmet = parse_where(" or ".join(f"r1m > {number}" for number in range(1, 40))).unmet(node("n"))
    assert unmet is not None
    assert len(unmet.reason) <= 120
    assert "…" in unmet.reason


# -- what must hold of every expression ---------------------------------------------------------


@st.composite
def answers(draw: st.DrawFn, known: bool) -> Measured:
    rare = st.just(False) if known else st.booleans()
    cards = draw(
        st.lists(
            st.sampled_from(
                [card(), card(1, "T4", use=None if not known else 1.0, cuda="11.8"), card(2, "a1", use=7.0)]
            ),
            max_size=3,
            unique_by=lambda one: one.index,
        )
    )
    answer = node(
        "a1",
        r1m=None if draw(rare) else draw(st.sampled_from([0.0, 2.0, 8.0])),
        cpus=None if draw(rare) else draw(st.sampled_from([2, 6])),
        mem=None if draw(rare) else draw(st.sampled_from([10.0, 90.0])),
        ut=None if draw(rare) else draw(st.sampled_from([0.0, 4.0, 80.0])),
        tmp=None if draw(rare) else 40.0,
        psi=None if draw(rare) else (0.0, 0.0, draw(st.sampled_from([0.0, 3.0]))),
        gpus=None if draw(rare) else tuple(cards),
        slots=draw(st.sampled_from([None, 4])),
    )  # fmt: skip
    return replace(answer, labels=draw(st.sampled_from([{}, {"rack": "a"}, {"rack": "z"}])))


def _truths(text: str, answer: Measured) -> list[Truth]:
    holds = Meaning("--where", text, None).condition(parse_condition("--where", text))
    return [holds(subject) for subject in devices_of(answer)]


@patient
@given(CONDITIONS, answers(known=False))
def test_not_turns_true_into_false_and_leaves_what_is_not_known(text: str, answer: Measured) -> None:
    for plain, negated in zip(_truths(text, answer), _truths(f"not ({text})", answer), strict=True):
        assert isinstance(plain, Unknown) == isinstance(negated, Unknown)
        assert isinstance(plain, Unknown) or negated is (not plain)


@patient
@given(CONDITIONS, answers(known=True), st.sampled_from(["run_queue", "cpus", "memory", "pressure", "tmp", "rates"]))
def test_knowing_less_never_makes_true_of_false_or_false_of_true(text: str, answer: Measured, section: str) -> None:
    if section == "rates":
        vague = replace(answer, rates=NOT_TOLD)
    else:
        vague = replace(answer, reading=replace(answer.reading, **{section: NOT_TOLD}))
    for more, less in zip(_truths(text, answer), _truths(text, vague), strict=True):
        assert isinstance(less, Unknown) or less is more


@patient
@given(CONDITIONS, answers(known=False))
def test_a_node_is_meant_if_it_holds_of_it_with_a_device_and_otherwise_has_a_reason(
    text: str, answer: Measured
) -> None:
    where, truths = parse_where(text), _truths(text, answer)
    unmet = where.unmet(answer)
    assert (unmet is None) is (True in truths)
    if unmet is not None:
        # Only the smallest reason is told: not meeting --where a part, no other can save the node.
        assert unmet.reason.startswith("not meeting ") or any(isinstance(one, Unknown) for one in truths)
        assert unmet.reason.endswith(" unknown") or False in truths


@patient
@given(CONDITIONS, CONDITIONS, answers(known=False))
def test_parts_joined_by_and_mean_what_they_mean_in_parentheses(one: str, other: str, answer: Measured) -> None:
    apart = parse_where(f"({one}) and ({other})").unmet(answer)
    together = parse_where(f"not not (({one}) and ({other}))").unmet(answer)
    assert (apart is None) is (together is None)


@patient
@given(CONDITIONS, answers(known=False))
def test_the_devices_that_count_are_those_of_which_it_holds(text: str, answer: Measured) -> None:
    where = parse_where(text)
    gpus = answer.reading.gpus
    if not isinstance(gpus, Unknown) and where.of_device and where.unmet(answer) is None:
        counted = [truth is True for truth in _truths(text, answer)]
        assert [where.admits(answer, gpu) for gpu in gpus] == counted[: len(gpus)]


def test_every_fact_can_be_read_of_an_idle_node() -> None:
    answer = replace(
        node("n", gpus=(card(),), slots=1),
        rates=Rates(span_s=1.0, ut_pct=0.0, disk_bytes_per_s=0.0, net_bytes_per_s=0.0),
    )
    (subject,) = devices_of(answer)
    for name, fact in FACTS.items():
        read = fact.figure or fact.words
        assert read is not None
        assert not isinstance(read(subject), Unknown), name
    assert isinstance(answer.reading.run_queue, RunQueue)
    assert isinstance(answer.reading.pressure, Pressure)
