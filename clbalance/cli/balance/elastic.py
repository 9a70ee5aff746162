"""What the playbook `elastic-scale` asks on this host: which nodes to start and to stop (docs/design/elastic.md).

`python -m clbalance.cli.balance.elastic`, with the playbook's variables in its environment. It looks at the nodes by
`clbalance load`, decides, remembers the decision, and prints a line for each node that has something to do: its name,
the action, and the reason. Lines that begin with `#` are remarks.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from clbalance.errors import ClbalanceError, ExitCode, LockedError, StoreError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.elastic import ElasticLimits, ElasticNode, ElasticPast, ElasticPlan, Mark
from clbalance.policy.elastic.plan import plan_elastic
from clbalance.render.text import escape_line
from clbalance.store.location import state_directory, this_machine
from clbalance.units import parse_duration
from clbalance.user_files.replacing import replace_file

_IN_SERVICE: Final = frozenset({"up", "busy"})
_DRAINED: Final = frozenset({"draining", "drained"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticCall:
    """One call: the nodes of the pool in their order, the jobs that wait, the rules, and the playbook's name."""

    nodes: tuple[NodeName, ...]
    waiting: int
    limits: ElasticLimits
    playbook: str
    dry_run: bool


def main() -> int:
    """The exit code."""
    try:
        call = read_call(os.environ)
        memory = Memory(state_directory(os.environ, this_machine()).path, call.playbook)
        with memory.locked():
            plan = plan_elastic(_look(call), call.waiting, call.limits, memory.read(), time.time())
            if not call.dry_run:
                memory.write(plan.past)
    except ClbalanceError as error:
        said = f"{error.message}: {error.hint}" if error.hint else error.message
        sys.stderr.write(f"{escape_line(said)}\n")  # one line, as `play` shows the last one
        return error.exit_code
    sys.stdout.write(lines_of(plan))
    return ExitCode.DONE


def lines_of(plan: ElasticPlan) -> str:
    """What is printed."""
    decisions = [f"{decision.node} {decision.action} {decision.reason}\n" for decision in plan.decisions]
    return "".join([*decisions, *([f"# {plan.remark}\n"] if plan.remark else [])])


# -- what is given


def read_call(environment: Mapping[str, str]) -> ElasticCall:
    """The call that the variables of the playbook make. `UsageError` for a value that is none, or does not fit."""
    given = _Given(environment)
    nodes = tuple(NodeName(name) for name in environment.get("CLBALANCE_PLAY_NODES", "").split(",") if name)
    if not nodes:
        raise UsageError("no nodes given", hint="this is called by `clbalance play elastic-scale`")
    ceiling = len(nodes) if environment.get("VAR_ceiling", "") == "all" else given.number("ceiling")
    limits = ElasticLimits(
        floor=given.number("floor"),
        ceiling=ceiling,
        busy=given.load("busy"),
        calm=given.load("calm"),
        idle_load=given.load("idle_load"),
        idle_s=given.duration("idle"),
        start_after_s=given.duration("start_after"),
        settle_s=given.duration("settle"),
        boot_s=given.duration("boot"),
        retry_s=given.duration("retry"),
        actions=given.number("actions"),
        window_s=given.duration("window"),
    )
    if shutil.which(provider := environment.get("VAR_provider", "")) is None:
        raise UsageError(f"`provider` cannot be {provider!r}", hint="a program that can be run, with its whole path")
    if limits.calm >= limits.busy:
        raise UsageError("`calm` must be below `busy`", hint="otherwise the same load would start and stop nodes")
    if limits.floor > min(limits.ceiling, len(nodes)):
        raise UsageError(f"`floor` is above {'`ceiling`' if limits.floor > limits.ceiling else 'the number of nodes'}")
    return ElasticCall(
        nodes=nodes,
        waiting=given.number("waiting"),
        limits=limits,
        playbook=environment.get("CLBALANCE_PLAY", ""),
        dry_run=bool(environment.get("CLBALANCE_DRY_RUN")),
    )


class _Given:
    """The variables of the playbook."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def number(self, name: str) -> int:
        text = self._text(name)
        if not re.fullmatch(r"[0-9]{1,6}", text):
            raise UsageError(f"`{name}` cannot be {text!r}", hint="a number such as 4")
        return int(text)

    def load(self, name: str) -> float:
        text = self._text(name)
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or float(text) == 0:
            raise UsageError(f"`{name}` cannot be {text!r}", hint="a load such as 0.8, above 0")
        return float(text)

    def duration(self, name: str) -> float:
        return parse_duration(self._text(name), f"`{name}`")

    def _text(self, name: str) -> str:
        return self._environment.get(f"VAR_{name}", "").strip()


# -- the look


def _look(call: ElasticCall) -> list[ElasticNode]:
    """The nodes as `clbalance load` shows them now."""
    words = [sys.executable, "-m", "clbalance", "load", "-w", ",".join(call.nodes), "--json"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        rows = {row["name"]: row for row in json.loads(done.stdout)["nodes"]}
        return [read_node(rows[name], call.playbook) for name in call.nodes]
    except (ValueError, KeyError) as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StoreError(f"`clbalance load` shows no load: {said[-1] if said else done.returncode}") from error


def read_node(row: Mapping[str, Any], playbook: str) -> ElasticNode:
    """A node of `load --json`."""
    if row["cause"] is not None:
        return ElasticNode(node=row["name"], is_up=False)
    return ElasticNode(
        node=row["name"], mark=_mark(row, playbook), uses=_uses(row), r1m=row["r1m"], load=row["r1m_per_cpu"]
    )


def _mark(row: Mapping[str, Any], playbook: str) -> Mark:
    """Who keeps it out of service."""
    if row["state"] in _IN_SERVICE:
        return Mark.NONE
    marks = [one for one in row["drains"] or () if not one["proposed"]]
    ours = [re.match(rf"play {re.escape(playbook)} run \d+( failed)?(: |$)", one["reason"]) for one in marks]
    if row["state"] not in _DRAINED or not marks or None in ours:
        return Mark.OTHER
    return Mark.FAILED if any(one is not None and one[1] for one in ours) else Mark.OURS


def _uses(row: Mapping[str, Any]) -> int | None:
    """Leases, logins, and GPUs that are not free; None: unknown."""
    if row["leases"] is None or row["gpus"] is None:
        return None
    busy_gpus = [gpu for gpu in row["gpus"] if gpu["state"] != "free"]
    return len(row["leases"]) + int(row["ls"] or 0) + len(busy_gpus)


# -- the memory


class Memory:
    """What is remembered between two calls: one file for each playbook, in the state folder."""

    def __init__(self, folder: Path, playbook: str) -> None:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", playbook)[:60]
        self._file = folder / f"elastic-{name}.json"
        self._lock = folder / f"elastic-{name}.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else decides meanwhile. `LockedError` if somebody does just now."""
        with self._lock.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError("another call decides just now") from None
            yield

    def read(self) -> ElasticPast:
        """What was written last. `StoreError` if it cannot be read: half a memory could pass the budget."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=ElasticPast)
        except FileNotFoundError:
            return ElasticPast()
        except (OSError, msgspec.MsgspecError) as error:
            hint = f"`rm {self._file}`; then idle times and the budget begin anew"
            raise StoreError(f"{self._file}: cannot be read: {error}", hint=hint) from error

    def write(self, past: ElasticPast) -> None:
        """Replace it as a whole, on the disk."""
        replace_file(str(self._file), msgspec.json.encode(past), mode=0o600)


if __name__ == "__main__":
    sys.exit(main())
