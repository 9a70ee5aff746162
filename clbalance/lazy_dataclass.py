"""The standard library's `dataclass`, at a fraction of its cost at start-up.

The standard one generates and compiles up to eight methods for each class: 1.1 ms a class, which was 0.18 of the 0.6
seconds of `load`, whose imports define 141 classes (docs/design/startup.md). Here only `__init__` is compiled, once a
class has many instances: most have a few, or none. The other methods are shared functions.

Fields, defaults, `replace`, `match`, comparison, hashes and pickling behave as in the standard library;
tests/test_lazy_dataclass.py compares the two. Unused features are left out: `order`, `InitVar`, `init=False`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

_NOT_GIVEN = object()
_FEW = 32  # instances. To compile `__init__` takes as long as to make 60 without


def _dataclass(
    cls: type[Any] | None = None, /, *, frozen: bool = False, slots: bool = False, kw_only: bool = False
) -> Any:
    if cls is None:
        return partial(_dataclass, frozen=frozen, slots=slots, kw_only=kw_only)
    own = set(cls.__dict__)
    cls.__doc__ = cls.__doc__ or cls.__name__  # without a docstring the standard library computes a signature for it
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)  # noqa: TID251
    methods = {"__init__": _first_init(made, frozen=frozen), "__repr__": _shown, **_comparison(made, frozen=frozen)}
    if frozen:
        methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
    if frozen and slots:
        methods |= {"__getstate__": _state, "__setstate__": _set_state}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414, TID251 - other modules import it from here
else:
    dataclass = _dataclass


def _first_init(made: type[Any], *, frozen: bool) -> Callable[..., None]:
    """The `__init__` of the first instances. It is slower than a compiled one, and tells less of what is mistyped."""
    fields, left = dataclasses.fields(made), _FEW
    positional = [field.name for field in fields if not field.kw_only]

    def init(self: object, /, *args: object, **kwargs: object) -> None:
        nonlocal left
        left -= 1
        if left >= 0 and len(args) <= len(positional):
            given = dict(zip(positional, args, strict=False)) | kwargs
            if len(given) == len(args) + len(kwargs) and _has_set(self, fields, given):
                if hasattr(made, "__post_init__"):
                    self.__post_init__()  # type: ignore[attr-defined]
                return
        written = made.__init__ = _written_init(made, frozen=frozen)
        written(self, *args, **kwargs)

    return init


def _has_set(instance: object, fields: Iterable[dataclasses.Field[Any]], given: dict[str, object]) -> bool:
    """Set what is given, and the rest by default. False if something is missing, or is no field."""
    for field in fields:
        if field.name in given:
            value = given.pop(field.name)
        elif field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        else:
            return False
        object.__setattr__(instance, field.name, value)
    return not given


def _written_init(made: type[Any], *, frozen: bool) -> Callable[..., None]:
    scope: dict[str, Any] = {"_set": object.__setattr__, "_NOT_GIVEN": _NOT_GIVEN}
    parameters, body = ["self"], ["pass"]
    fields = dataclasses.fields(made)
    for field in (*(one for one in fields if not one.kw_only), *(one for one in fields if one.kw_only)):
        name, value, parameter = field.name, field.name, field.name
        if field.default is not dataclasses.MISSING:
            scope[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        elif field.default_factory is not dataclasses.MISSING:
            scope[f"_make_{name}"] = field.default_factory
            parameter = f"{name}=_NOT_GIVEN"
            value = f"_make_{name}() if {name} is _NOT_GIVEN else {name}"
        if field.kw_only and "*" not in parameters:
            parameters.append("*")
        parameters.append(parameter)
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    lines = "\n ".join(body)
    exec(f"def __init__({', '.join(parameters)}):\n {lines}", scope)  # noqa: S102 - names of fields, as dataclasses does
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    return init


def _comparison(made: type[Any], *, frozen: bool) -> dict[str, Any]:
    fields = dataclasses.fields(made)
    compared = _values(field.name for field in fields if field.compare)
    hashed = _values(field.name for field in fields if (field.compare if field.hash is None else field.hash))

    def equals(self: object, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    def hash_of(self: object) -> int:
        return hash(hashed(self))

    return {"__eq__": equals, "__hash__": hash_of if frozen else None}


def _values(names: Iterable[str]) -> Callable[[object], tuple[Any, ...]]:
    wanted = tuple(names)
    if len(wanted) > 1:
        return attrgetter(*wanted)  # makes the tuple in C
    return lambda self: tuple(getattr(self, name) for name in wanted)


@recursive_repr()
def _shown(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
