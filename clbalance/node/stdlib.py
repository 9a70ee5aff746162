"""What every program on a node needs of `signal`, `json` and `contextlib`, without the modules that these import.

They import `enum`, `functools` and `re`, which takes 9 ms of processor time: as long as all else that a session needs
before its hello (docs/design/speed.md). Their parts in C do without.
"""

try:
    import _signal as signal  # type: ignore[import-not-found]  # which has no stub; all names are those of `signal`
except ImportError:  # not CPython
    import signal

MYPY = False
if MYPY:
    from typing import Any

__all__ = ["dumps", "loads", "signal", "suppress"]


class suppress:  # noqa: N801 - named as in `contextlib`
    """As `contextlib.suppress`."""

    def __init__(self, *kinds: "type[BaseException]") -> None:
        self.kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: "type[BaseException] | None", error: object, where: object) -> bool:
        return kind is not None and issubclass(kind, self.kinds)


class JsonRules:
    """What the parser in C asks for, as `json.loads` has it."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


def json_encoder(encode_text: "Any") -> "Any":
    make: "Any" = _json.make_encoder
    return make(None, None, encode_text, None, ": ", ", ", False, False, True)


PARSE: "Any" = None
ENCODE: "dict[bool, Any]" = {}  # by `ensure_ascii`
try:
    import _json

    rules: "Any" = JsonRules
    PARSE = _json.make_scanner(rules)
    ENCODE = {True: json_encoder(_json.encode_basestring_ascii), False: json_encoder(_json.encode_basestring)}
except (ImportError, AttributeError, TypeError):  # not CPython, or one that has changed them
    pass


def loads(text: str) -> "Any":
    """As `json.loads`. `ValueError` if it is not JSON, or nested too deep."""
    if PARSE is None:
        import json

        return json.loads(text)
    text = text.strip(" \t\r\n")
    try:
        value, end = PARSE(text, 0)
    except (ValueError, StopIteration, RecursionError, ImportError, SystemError):
        end = -1  # ImportError, SystemError: it wants to raise an error of `json`, which is not loaded
    if end != len(text):
        raise ValueError("not JSON")
    return value


def dumps(value: object, ensure_ascii: bool = True) -> str:
    """As `json.dumps`."""
    if ENCODE:
        return "".join(ENCODE[ensure_ascii](value, 0))
    import json

    return json.dumps(value, ensure_ascii=ensure_ascii)
