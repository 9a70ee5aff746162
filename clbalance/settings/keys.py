"""All settings keys and their kinds of values: one table for files, variables, error messages and `config show`."""

import math
import re
from collections.abc import Mapping
from typing import Protocol, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.indices.table import THRESHOLDS

Value: TypeAlias = (
    bool
    | str
    | float
    | tuple[str, ...]
    | Mapping[str, str]
    | Mapping[str, float]
    | Mapping[str, tuple[str, ...]]
    | None
)
"""A checked value; None: a limit that is switched off."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A bad value, in words for a message."""

    given: str


class ValueKind(Protocol):
    """The kind of value that a key takes."""

    @property
    def expected(self) -> str:
        """The expected value in words that fit after "give": `a whole number from 1 to 4096`."""
        ...

    def read(self, given: object) -> Value | Misfit:
        """Check a value of a TOML file."""
        ...

    def read_text(self, text: str) -> Value | Misfit:
        """Check the text of an environment variable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A finite number within bounds, or `"off"` for a limit that can be switched off (TOML has no null)."""

    at_least: float
    at_most: float
    whole: bool = False
    can_be_off: bool = False

    @property
    def expected(self) -> str:
        noun = "a whole number" if self.whole else "a number"
        off = ', or `"off"`' if self.can_be_off else ""
        return f"{noun} from {self.at_least:g} to {self.at_most:.12g}{off}"

    def read(self, given: object) -> Value | Misfit:
        if self.can_be_off and given == "off":
            return None
        # In Python a boolean is an int; here it is a mistake.
        is_number = isinstance(given, int if self.whole else int | float) and not isinstance(given, bool)
        if is_number and self.at_least <= given <= self.at_most:  # type: ignore[operator]  # is_number says so
            return given  # type: ignore[return-value]  # is_number says so
        return Misfit(value_text(given))

    def read_text(self, text: str) -> Value | Misfit:
        try:
            number = int(text) if self.whole else float(text)
        except ValueError:
            return self.read(text) if self.can_be_off else Misfit(value_text(text))
        return self.read(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class YesOrNo:
    """A boolean."""

    expected: str = "`true` or `false`"

    def read(self, given: object) -> Value | Misfit:
        return given if isinstance(given, bool) else Misfit(value_text(given))

    def read_text(self, text: str) -> Value | Misfit:
        return self.read({"true": True, "false": False}.get(text, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string without control characters that matches `pattern`."""

    expected: str = "a string"
    pattern: str = r".*"

    def read(self, given: object) -> Value | Misfit:
        if isinstance(given, str) and given.isprintable() and re.fullmatch(self.pattern, given):
            return given
        return Misfit(value_text(given))

    def read_text(self, text: str) -> Value | Misfit:
        return self.read(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """An array of short names, none twice."""

    expected: str
    pattern: str

    def read(self, given: object) -> Value | Misfit:
        if not isinstance(given, list):
            return Misfit(value_text(given))
        for word in given:
            if not isinstance(word, str) or not re.fullmatch(self.pattern, word):
                return Misfit(f"an array with {value_text(word)}")
        return tuple(dict.fromkeys(given))

    def read_text(self, text: str) -> Value | Misfit:
        return self.read(text.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableKind:
    """A table of strings or numbers by name."""

    expected: str
    name: str
    """Pattern of the names."""
    value: Text | Number

    def read(self, given: object) -> Value | Misfit:
        if not isinstance(given, Mapping):
            return Misfit(value_text(given))
        for name, value in given.items():
            if not re.fullmatch(self.name, name):
                return Misfit(f"a table with the name {name[:60]!a}")
            if isinstance(misfit := self.value.read(value), Misfit):
                return Misfit(f"a table where {name} is {misfit.given}")
        return dict(given)

    def read_text(self, text: str) -> Value | Misfit:
        return Misfit(value_text(text))  # no environment variable sets a table


@dataclass(frozen=True, slots=True)
class KeysOfTop:
    """A table of the actions of `top`, each with a key or an array of keys."""

    expected: str = 'keys such as `drain = "D"`, `page_down = ["pagedown", "ctrl-f"]`, or `cancel = []`'

    def read(self, given: object) -> Value | Misfit:
        from clbalance.policy.top.rebind import read_keys  # most calls have no such table

        if not isinstance(given, Mapping):
            return Misfit(value_text(given))
        found = read_keys(given)
        return Misfit(found) if isinstance(found, str) else found

    def read_text(self, text: str) -> Value | Misfit:
        return Misfit(value_text(text))  # no environment variable sets it


def value_text(given: object) -> str:  # noqa: PLR0911 - one return for each type of TOML
    """A TOML value in one short line, in TOML's words: `the string "many"`."""
    match given:
        case bool():
            return f"the boolean {str(given).lower()}"
        case int() if given.bit_length() > 64:
            return "an integer beyond all bounds"
        case int() | float():
            return f"{given:g}" if isinstance(given, float) and math.isfinite(given) else str(given)
        case str():
            return f"the string {given[:60]!a}"
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return f"a {type(given).__name__}"


_SECONDS = Number(at_least=0.1, at_most=3600)
_WEIGHT = Number(at_least=0, at_most=1_000_000)
_LEVEL = Number(at_least=0, at_most=100, can_be_off=True)
_PRICE = Number(at_least=0, at_most=1_000_000)
_SET = Text(expected='a node set such as "gpu[1-4]"', pattern=r".+")

AUTO = "auto"
"""In place of the name of a policy: the one that was chosen."""
POLICIES = ("least", "spread", "pack", "p2c", "foresee", "risk", "fgd", "random", "rr", AUTO)
QUEUES = ("fcfs", "sjf", "priority", "easy", "easy-sjbf", AUTO)
"""The policies of `policy/placement/policies.py` and the lists of `policy/queue/queues.py`, which this layer must not
import, and the one that is chosen; tests compare them."""


def _one_of(names: tuple[str, ...]) -> Text:
    return Text(expected=" or ".join(f'"{name}"' for name in names), pattern="|".join(names))


_POLICY = _one_of(POLICIES)
ENTRY_POINT = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}"
"""Pattern of the names of entry points of Python packages."""
_WEIGHTS = (
    "run_queue",
    "cpu_use",
    "memory",
    "pressure",
    "gpu",
    "forecast",
    "risk",
    "spread",
    "packing",
    "fragmentation",
)

KEYS: Mapping[str, ValueKind] = {
    "groups_conf": Text(expected="the path of a groups.conf", pattern=r".+"),
    "ssh.options": Text(expected='options of ssh, such as "-o Port=2222"'),
    "ssh.path": Text(expected='the program, such as "/usr/bin/ssh"', pattern=r".*\S.*"),
    "ssh.user": Text(expected="a login name", pattern=r"[A-Za-z0-9_][A-Za-z0-9._-]{0,31}[$]?"),
    "ssh.connect_timeout_s": _SECONDS,
    "ssh.probe_timeout_s": _SECONDS,
    "ssh.fanout": Number(at_least=1, at_most=10_000, whole=True),
    "ssh.control_persist_s": Number(at_least=1, at_most=3600, can_be_off=True),
    "ssh.topology": Text(expected='the path of a topology.conf, or "none"', pattern=r".+"),
    "ssh.gateway_python": Text(
        expected='a python3, such as "/usr/bin/python3"', pattern=r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*"
    ),
    "policy.name": _POLICY,
    "policy.queue": _one_of(QUEUES),
    "policy.max_age_s": _SECONDS,
    "policy.shortlist_age_s": Number(at_least=1, at_most=3600, can_be_off=True),
    "policy.suspect_after": Number(at_least=1, at_most=1000, whole=True, can_be_off=True),
    **{f"policy.weights.{name}": _WEIGHT for name in _WEIGHTS},
    **{
        f"thresholds.{limit.key}": Number(at_least=0, at_most=limit.most, can_be_off=True)
        for index in THRESHOLDS
        if (limit := index.threshold) is not None
    },
    "queue.fair_share": Number(at_least=0, at_most=1_000_000),
    "queue.half_life_s": Number(at_least=60, at_most=3650 * 86_400),
    "gpus.hide": Text(expected='"leased", "used" or "never"', pattern="leased|used|never"),
    "engine": TableKind(
        expected='a table of groups such as `batch = "slurm"`, each "slurm" or "ssh"',
        name=r"[^@\s]+",
        value=Text(pattern="slurm|ssh"),
    ),
    "slurm.nodes": YesOrNo(),
    "slurm.folder": Text(
        expected="the path of a folder that this host shares with Slurm's nodes", pattern=r"/[^%]+|~/[^%]*"
    ),
    "rebalance.high": _LEVEL,
    "rebalance.low": _LEVEL,
    "rebalance.deviation": _LEVEL,
    "rebalance.min_gain": Number(at_least=0, at_most=100),
    "rebalance.max_moves": Number(at_least=0, at_most=10_000, whole=True),
    "rebalance.confirm": Number(at_least=1, at_most=1000, whole=True),
    "rebalance.cooldown_s": Number(at_least=0, at_most=7 * 86_400),
    "rebalance.guaranteed": YesOrNo(),
    "shell.confirm": Words(
        expected='an array of commands such as `["reboot", "rm -r"]`',
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*( -[A-Za-z])?",
    ),
    "shell.confirm_nodes": Number(at_least=1, at_most=100_000, whole=True, can_be_off=True),
    "top.keys": KeysOfTop(),
    "plugins.scorers": TableKind(
        expected="a table of entry points with weights above 0, such as `{ cool = 2 }`",
        name=ENTRY_POINT,
        value=Number(at_least=0.001, at_most=1_000_000),
    ),
    **{
        f"plugins.{kind}": Words(
            expected='an array of names of entry points such as `["licences"]`', pattern=ENTRY_POINT
        )
        for kind in ("filters", "groups", "notifiers")
    },
    "prices.currency": Text(expected='the name of a currency such as "EUR"', pattern=r"\S{1,12}"),
    "prices.cpu_hour": _PRICE,
    "prices.gpu_hour": _PRICE,
}
"""The kinds of values by dotted key, as in TOML."""

NODES = "nodes"
NODE_KEYS: Mapping[str, ValueKind] = {
    "set": _SET,
    "cpu_factor": Number(at_least=0.001, at_most=1000),
    "slots": Number(at_least=0, at_most=100_000, whole=True),
    "price_cpu_hour": _PRICE,
    "price_gpu_hour": _PRICE,
    "labels": TableKind(
        expected='a table of strings such as `{ rack = "r1" }`, each name of letters, digits and `_`',
        name=r"[A-Za-z_][A-Za-z0-9_]{0,62}",
        value=Text(pattern=r".{1,200}"),
    ),
    "taints": Words(
        expected='an array of words such as `["maintenance"]`, of letters, digits and `_.-`',
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}",
    ),
}
"""Keys of each `[[nodes]]` table; `set` is required."""

GROUPS = "groups"
GROUP_KEYS: Mapping[str, ValueKind] = {
    "group": Text(expected='the name of a group, as after `-g`, such as "gpu-nodes"', pattern=r"[^@\s]+"),
    "policy": _POLICY,
    **{f"weights.{name}": _WEIGHT for name in _WEIGHTS},
}
"""Keys of each `[[groups]]` table; `group` is required."""

INDEX = "index"
CHECK = "check"
"""Tables of plug-ins, each `[index.NAME]` or `[check.NAME]`; their keys are in `settings/plugins.py`."""

VARIABLES: Mapping[str, str] = {
    "CLBALANCE_SSH_OPTIONS": "ssh.options",
    "CLBALANCE_CONNECT_TIMEOUT": "ssh.connect_timeout_s",
    "CLBALANCE_PROBE_TIMEOUT": "ssh.probe_timeout_s",
    "CLBALANCE_FANOUT": "ssh.fanout",
    "CLBALANCE_CONTROL_PERSIST": "ssh.control_persist_s",
    "CLBALANCE_TOPOLOGY": "ssh.topology",
    "CLBALANCE_GATEWAY_PYTHON": "ssh.gateway_python",
    "CLBALANCE_GROUPS_CONF": "groups_conf",
}
"""Environment variables, each with the key that it sets."""
