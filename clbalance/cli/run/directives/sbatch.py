"""Translate `#SBATCH` options into options of `run`, in Slurm's units. Pure.

Source: sbatch(1) of Slurm 24.05, its options and units; the names in file patterns are those of its `filename pattern`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping

from clbalance.cli.run.directives.sbatch_lines import Asked
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass

Words = list[str]
"""Options of `run`, as they are typed."""


class NotTakenError(Exception):
    """An option that `run` has no counterpart for. The text: what to type instead, if anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """`words`: options of `run`. `not_taken`: each other option of the script, with what to type instead."""

    words: Words
    not_taken: tuple[str, ...]


def translate(asked: Iterable[Asked], script: str) -> Translation:
    """The options of a whole script: of an option that is repeated, the last counts. `script`: its name, for `%x`.

    `UsageError` for a value that is wrong, or a request that must not be dropped in silence.
    """
    given = {one.name: one for one in asked}
    values = {name: one.value for name, one in given.items()} | {"script": script}
    words: Words = []
    not_taken: list[str] = []
    for name, one in given.items():
        try:
            words += _RULES.get(name, _no_counterpart)(values, one.value)
        except NotTakenError as error:
            not_taken.append(f"`{one.written}`" + (f" ({error})" if str(error) else ""))
        except (ValueError, OverflowError) as error:
            raise UsageError(f"{one.where}: #SBATCH: `{one.written}`: {error}", hint="see `man sbatch`") from error
    return Translation(words=words, not_taken=tuple(not_taken))


# -- units ----------------------------------------------------------------------------------------

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")
_SIZE = re.compile(r"(\d+)([KMGT]?)B?", re.IGNORECASE)
_UNITS_S = ((3600, "h"), (60, "m"))
_COUNT = re.compile(r"[1-9][0-9]{0,5}")


def seconds_of(text: str) -> int | None:
    """Slurm's time: `minutes`, `M:S`, `H:M:S`, `D-H`, `D-H:M`, `D-H:M:S`. None: no limit. `ValueError` otherwise."""
    if text.upper() in ("0", "UNLIMITED", "INFINITE"):
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time: such as 30 (minutes), 1:30:00 or 2-12")
    parts = [int(part) for part in found.group("first", "second", "third") if part is not None]
    if found["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, (minutes, seconds) = 0, [*parts, 0][:2]
    return ((int(found["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds or None


def mib_of(text: str) -> float:
    """Slurm's size, by default in MB, which are MiB. `ValueError` if it is none."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("no size: such as 4000 (MB) or 16G")
    return float(int(found[1]) * {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}[found[2].upper()])


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError("a number, 1 or more")
    return int(text)


def _size_words(option: str, mib: float) -> Words:
    return [option, f"{mib:.0f}M" if mib == int(mib) else f"{math.ceil(mib * 1024)}K"]


# -- cpus, memory, nodes --------------------------------------------------------------------------


def _nodes(values: Mapping[str, str]) -> int:
    return _count(values.get("nodes", "1").split("-")[0])


def _tasks_per_node(values: Mapping[str, str]) -> int:
    """Slurm's tasks are processes that `srun` starts; here the script itself starts them, on the cpus of its node."""
    if "ntasks-per-node" in values:
        return _count(values["ntasks-per-node"])
    return math.ceil(_count(values.get("ntasks", "1")) / _nodes(values))


def _cpus(values: Mapping[str, str]) -> int:
    return _tasks_per_node(values) * _count(values.get("cpus-per-task", "1"))


def _cpu_words(*, unless: frozenset[str]) -> Callable[[Mapping[str, str], str], Words]:
    """`--cpus`, said by one of the options that it depends on."""

    def words(values: Mapping[str, str], text: str) -> Words:
        _count(text)
        return [] if unless & values.keys() else ["--cpus", str(_cpus(values))]

    return words


def _node_words(_: Mapping[str, str], text: str) -> Words:
    least, _dash, most = text.partition("-")
    if most and _count(most) < _count(least):
        raise ValueError("the smallest number of nodes comes first")
    return [] if _count(least) == 1 else ["--pick", least, "--first-node"]


def _memory(_: Mapping[str, str], text: str) -> Words:
    if not mib_of(text):
        raise NotTakenError("all memory of a node: `--exclusive`")
    return _size_words("--mem", mib_of(text))


def _memory_per_cpu(values: Mapping[str, str], text: str) -> Words:
    return _size_words("--mem", mib_of(text) * _cpus(values))


def _time_limit(_: Mapping[str, str], text: str) -> Words:
    seconds = seconds_of(text)
    if seconds is None:
        return []
    unit_s, unit = next((one for one in _UNITS_S if not seconds % one[0]), (1, "s"))
    return ["--time-limit", f"{seconds // unit_s}{unit}"]


# -- GPUs -----------------------------------------------------------------------------------------


def _gpu_words(text: str, *, times: float = 1) -> Words:
    """`2`, `a100` or `a100:2`; empty: one. `times`: how many such shares a node gets."""
    parts = [part for part in re.sub(r"\(.*\)$", "", text).split(":") if part]
    count = int(parts.pop()) * times if parts and parts[-1].isdecimal() else times
    if len(parts) > 1 or count != int(count):
        raise ValueError("no number of GPUs, the same on each node: such as 2 or a100:2")
    model = ["--where", f'gpu_model ~ "(?i){re.escape(parts[0])}"'] if parts else []
    return ["--gpus", str(int(count)), *model] if count else []


def _gres(_: Mapping[str, str], text: str) -> Words:
    kind, _colon, rest = text.removeprefix("gres/").removeprefix("gres:").partition(":")
    if text.lower() == "none":
        return []
    if kind != "gpu" or "," in rest:
        raise NotTakenError("only GPUs are counted here")
    return _gpu_words(rest)


def _gpus(values: Mapping[str, str], text: str) -> Words:
    return _gpu_words(text, times=1 / _nodes(values))


def _gpus_per_node(_: Mapping[str, str], text: str) -> Words:
    return _gpu_words(text)


def _gpus_per_task(values: Mapping[str, str], text: str) -> Words:
    return _gpu_words(text, times=_tasks_per_node(values))


# -- files, order, environment --------------------------------------------------------------------

_PATTERN = re.compile(r"%(\d*)([A-Za-z%])")
_PLACES = {"j": "%j", "J": "%j", "A": "%j", "a": "%t", "N": "%n", "%": "%%"}


def _file_words(option: str) -> Callable[[Mapping[str, str], str], Words]:
    def words(values: Mapping[str, str], text: str) -> Words:
        def place(found: re.Match[str]) -> str:
            if found[2] == "x":
                return values.get("job-name", values["script"]).replace("%", "%%")
            if found[1] or found[2] not in _PLACES:
                raise ValueError(f"{found[0]} has no counterpart: %j is the job, %n the node, %t the task")
            return _PLACES[found[2]]

        return [option, _PATTERN.sub(place, text)]

    return words


def _dependency(_: Mapping[str, str], text: str) -> Words:
    words: Words = []
    for part in text.split(","):
        kind, *jobs = part.split(":")
        if kind != "afterok" or not all(jobs) or not jobs:
            raise ValueError("only afterok:JOB[:JOB] is kept here")
        words += [word for job in jobs for word in ("--after", job)]
    return words


_IN_A_WHILE = re.compile(r"now\+(\d+)(?:(s|m|h|d|w)[a-z]*)?")


def _begin(_: Mapping[str, str], text: str) -> Words:
    """`now+1hour`, a time of day, or a date; Slurm's words for moments have no counterpart."""
    if found := _IN_A_WHILE.fullmatch(text):
        count, unit = int(found[1]), found[2] or "s"
        return ["--begin", f"now+{count * 7}d" if unit == "w" else f"now+{count}{unit}"]
    if not text[:1].isdigit():
        raise ValueError("such as now+2hours, 18:00 or 2026-12-01T08:00")
    return ["--begin", text]


def _export(_: Mapping[str, str], text: str) -> Words:
    names = [name for name in text.split(",") if name not in ("ALL", "NONE", "NIL")]
    if "ALL" in text.split(","):
        raise NotTakenError("a job has the environment of its node: `--env NAME`")
    return [word for name in names for word in ("--env", name)]


def _word(option: str) -> Callable[[Mapping[str, str], str], Words]:
    return lambda _, text: [option, text]


def _flag(option: str) -> Callable[[Mapping[str, str], str], Words]:
    return lambda _values, _text: [option]


def _instead(hint: str) -> Callable[[Mapping[str, str], str], Words]:
    def words(_: Mapping[str, str], text: str) -> Words:
        raise NotTakenError(hint.replace("%", text))

    return words


def _nothing(_values: Mapping[str, str], _text: str) -> Words:
    """What `run` does anyway."""
    return []


def _no_counterpart(_values: Mapping[str, str], _text: str) -> Words:
    raise NotTakenError


_RULES: Mapping[str, Callable[[Mapping[str, str], str], Words]] = {
    "array": _word("--array"),
    "account": _word("--account"),
    "begin": _begin,
    "chdir": _word("--chdir"),
    "cpus-per-task": _cpu_words(unless=frozenset()),
    "dependency": _dependency,
    "error": _file_words("--error"),
    "exclusive": _flag("--exclusive"),
    "export": _export,
    "gpus": _gpus,
    "gpus-per-node": _gpus_per_node,
    "gpus-per-task": _gpus_per_task,
    "gres": _gres,
    "input": _word("--stdin"),
    "job-name": _word("--name"),
    "mem": _memory,
    "mem-per-cpu": _memory_per_cpu,
    "nodes": _node_words,
    "no-requeue": _nothing,
    "ntasks": _cpu_words(unless=frozenset({"cpus-per-task", "ntasks-per-node"})),
    "ntasks-per-node": _cpu_words(unless=frozenset({"cpus-per-task"})),
    "output": _file_words("--output"),
    "parsable": _nothing,
    "quiet": _nothing,
    "requeue": _flag("--requeue"),
    "time": _time_limit,
    "tmp": lambda _, text: _size_words("--tmp", mib_of(text)),
    "verbose": _nothing,
    "wait": _nothing,
    # What stays to be typed, or has no meaning here.
    "constraint": _instead("`--where EXPR`"),
    "exclude": _instead("type `-x %`"),
    "hold": _instead("type `clbalance hold JOB`"),
    "mail-type": _instead("type `--notify COMMAND`"),
    "mail-user": _instead("type `--notify COMMAND`"),
    "nice": _instead("`--priority N`"),
    "nodelist": _instead("type `-w %`"),
    "partition": _instead("type `-g %`"),
    "priority": _instead("`--priority N`"),
    "qos": _instead("there is none here"),
    "signal": _instead("`--checkpoint SIGNAL`"),
}
