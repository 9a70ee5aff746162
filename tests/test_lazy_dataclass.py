"""Our `dataclass` does what the standard library's does, for each way of declaring that is used here."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.lazy_dataclass import dataclass as lazy

Decorator = Callable[..., Any]


def pair(decorator: Decorator, **how: bool) -> type[Any]:
    """One class, declared by `decorator`."""

    class Pair:
        """Two values, and more by default."""

        kind: ClassVar[str] = "pair"
        left: int
        right: str = "r"
        many: list[int] = dataclasses.field(default_factory=list)
        aside: int = dataclasses.field(default=0, compare=False, repr=False)

        @property
        def both(self) -> str:
            return f"{self.left}{self.right}"

    declared: type[Any] = decorator(**how)(Pair)
    return declared


WAYS: list[dict[str, bool]] = [
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "slots": True},
    {"frozen": True, "kw_only": True},
    {"slots": True},
    {},
]
each_way = pytest.mark.parametrize("how", WAYS, ids=lambda how: "-".join(how) or "plain")


def both(**how: bool) -> tuple[type[Any], type[Any]]:
    return pair(lazy, **how), pair(dataclasses.dataclass, **how)


@each_way
@given(st.integers(-2, 2), st.sampled_from("ab"), st.lists(st.integers(0, 1), max_size=2), st.integers(0, 1))
def test_instances_show_and_compare_alike(
    how: dict[str, bool], left: int, right: str, many: list[int], aside: int
) -> None:
    ours, theirs = (kind(left=left, right=right, many=many, aside=aside) for kind in both(**how))
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert ours.both == theirs.both
    for other in ({"left": 0}, {"left": left, "right": right, "many": many, "aside": 7}):
        changed, theirs_changed = dataclasses.replace(ours, **other), dataclasses.replace(theirs, **other)
        assert (ours == changed) == (theirs == theirs_changed)
    assert ours != theirs
    assert ours != (left, right, many)


@each_way
def test_defaults_are_made_anew_for_each_instance(how: dict[str, bool]) -> None:
    ours, _ = both(**how)
    first, second = ours(left=1), ours(left=1)
    assert (first.right, first.many, first.aside) == ("r", [], 0)
    assert first.many is not second.many


@each_way
def test_the_hundredth_instance_is_made_as_the_first(how: dict[str, bool]) -> None:
    ours, _ = both(**how)
    first_init = ours.__init__
    found = [ours(left=number) if how.get("kw_only") else ours(number, "r") for number in range(100)]
    assert ours.__init__ is not first_init
    assert [(one.left, one.right, one.many, one.aside) for one in found] == [(n, "r", [], 0) for n in range(100)]
    assert len({id(one.many) for one in found}) == 100


@each_way
@pytest.mark.parametrize("arguments", [((), {}), ((1, 2, [], 0, 9), {}), ((), {"left": 1, "lef": 1})])
def test_what_cannot_be_made_is_refused_in_the_same_words(how: dict[str, bool], arguments: tuple[Any, Any]) -> None:
    positional, named = arguments
    for kind in (ours := both(**how)):
        with pytest.raises(TypeError) as first:
            kind(*positional, **named)
        with pytest.raises(TypeError) as second:  # the first call is the one that writes `__init__`
            ours[1](*positional, **named)
        assert str(first.value) == str(second.value)


@each_way
def test_what_is_frozen_can_be_neither_changed_nor_lost(how: dict[str, bool]) -> None:
    for kind in both(**how):
        one = kind(left=1)
        if not how.get("frozen"):
            one.left = 2
            assert one.left == 2
            with pytest.raises(TypeError):
                hash(one)
            continue
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'left'"):
            one.left = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'left'"):
            del one.left
        hashable = kind(left=1, many=())
        assert hash(hashable) == hash(kind(left=1, many=(), aside=5))


@each_way
def test_the_class_itself_looks_alike(how: dict[str, bool]) -> None:
    ours, theirs = both(**how)
    assert [field.name for field in dataclasses.fields(ours)] == [field.name for field in dataclasses.fields(theirs)]
    assert ours.__match_args__ == theirs.__match_args__
    assert getattr(ours, "__slots__", None) == getattr(theirs, "__slots__", None)
    assert ours.__doc__ == theirs.__doc__


def test_a_pattern_matches_by_field() -> None:
    match pair(lazy, frozen=True)(3, "x"):
        case object(left=3, right=right):
            assert right == "x"
        case _:
            raise AssertionError("no match")


@lazy(frozen=True, slots=True, kw_only=True)
class Base:
    one: int


@lazy(frozen=True, slots=True, kw_only=True)
class Grown(Base):
    two: int = 2

    def __post_init__(self) -> None:
        if self.two < 0:
            raise ValueError("negative")


@lazy(frozen=True, slots=True)
class Nothing:
    pass


def test_a_subclass_has_the_fields_of_both_and_is_looked_at_when_made() -> None:
    assert repr(Grown(one=1)) == "Grown(one=1, two=2)"
    assert Base(one=1) != Grown(one=1)
    for number in range(100):
        assert Grown(one=number).two == 2
        with pytest.raises(ValueError, match="negative"):
            Grown(one=1, two=-1)


@pytest.mark.parametrize("value", [Base(one=1), Grown(one=1, two=3), Nothing()])
def test_a_frozen_value_survives_copying_and_pickling(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.copy(value) == copy.deepcopy(value) == value


def test_a_value_within_itself_can_be_shown() -> None:
    @lazy(slots=True)
    class Link:
        to: object

    link = Link(to=None)
    link.to = link
    assert repr(link).endswith(".Link(to=...)")
