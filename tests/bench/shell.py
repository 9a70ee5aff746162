"""The shell on a terminal: how soon the prompt is back after a line, after Ctrl-C, and while nodes are sick."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .figure import Figure, Run, Spread, ratio_figure
from .masters import SHARED, ends_shared
from .question import Measurement
from .site import CLBALANCE, Place, Site, timed
from .typed_shell import TypedShell

_NODES = 32
_ALL = f"node[1-{_NODES}]"
_SHELL = (CLBALANCE, "shell", "-w", _ALL)
# clush reads its options by configparser, where a per cent sign is two.
_CLUSH = f"clush -b -o '-F {{lab}}/ssh_config {SHARED.replace('%', '%%')}' -w {_ALL}"
_LINES = (
    ("true, typed in the shell", "true", "clush", f"{_CLUSH} true", 0.08),
    ("load, typed in the shell", "load", "clush", f"{_CLUSH} cat /proc/loadavg", 0.4),
    ("run -- true, typed in the shell", "run -- true", "ssh", "ssh node3 true", 0.5),
)
"""What is measured, what is typed, and whom it is compared with: clush over connections that it keeps, ssh over none."""
_INTERRUPTS, _INTERRUPTS_OF_CLUSH = 50, 5
_GONE_WITHIN_S = 2.0
_SLEEP = "sleep 86397"
_BETWEEN_S = 1.1
"""A `load` within a second of the last one looks twice, and waits for that: CPU use is a difference over time."""
_FROZEN, _DEAD = "node7", ("node12", "node31")


def typed_lines(site: Site) -> Iterator[Figure]:
    """Each line and its peer in turn, in the same shell."""
    with site.lab("shell", _NODES, gpus=0) as lab:
        place = Place(site, site.folder / "shell-typed", lab)
        place.folder.mkdir()
        env = place.environment()
        with ends_shared(place), TypedShell(_SHELL, env) as shell:
            for name, line, peer, command, limit in _LINES:
                theirs = place.words(command)
                pairs = [_pair(shell, line, theirs, env, at) for at in range(site.rounds + 1)]
                yield ratio_figure(name, peer, pairs[1:], limit=limit)  # the first does not count


def _pair(shell: TypedShell, line: str, theirs: list[str], env: Mapping[str, str], at: int) -> tuple[Run, Run]:
    """Ours first, every second time theirs."""
    if at % 2:
        return _line(shell, line), timed(theirs, env)
    their_run = timed(theirs, env)
    return _line(shell, line), their_run


def _line(shell: TypedShell, line: str) -> Run:
    time.sleep(_BETWEEN_S)
    return shell.line(line)


def interrupts(site: Site) -> Iterator[Figure]:
    """Ctrl-C at random moments of a command that does not end by itself."""
    rng = random.Random(1)
    with site.lab("ctrl-c", _NODES, gpus=0) as lab:
        env = site.environment(lab) | {"CLBALANCE_STATE_DIR": str(site.folder / "ctrl-c-state")}
        taken, left = [], []
        with TypedShell(_SHELL, env) as shell:
            shell.line("true")
            for _ in range(_INTERRUPTS):
                shell.type(f"{_SLEEP}; :\r".encode())
                time.sleep(rng.random())
                began = time.perf_counter()
                shell.type(b"\x03")
                shell.until_prompt()
                taken.append(time.perf_counter() - began)
                time.sleep(_GONE_WITHIN_S)
                left.append(len(_sleepers()))
        left_by_clush = [_left_by_clush(env, rng.random()) for _ in range(_INTERRUPTS_OF_CLUSH)]
    yield Figure(
        name=f"Ctrl-C in the shell at {_INTERRUPTS} moments: the prompt is back",
        value=max(taken),
        unit="s at most",
        limit=0.3,
        ours_s=Spread.of(taken),
    )
    yield Figure(
        name=f"the same: what runs on the nodes {_GONE_WITHIN_S:g} s later",
        value=max(left),
        unit="processes at most",
        limit=0,
        note=f"{max(left_by_clush)} after Ctrl-C in clush",
    )


def _left_by_clush(env: Mapping[str, str], after_s: float) -> int:
    child = subprocess.Popen(["clush", "-w", _ALL, f"{_SLEEP}; :"], env=dict(env), stdin=subprocess.DEVNULL)
    try:
        while len(_sleepers()) < _NODES and child.poll() is None:
            time.sleep(0.1)
        time.sleep(after_s)
        while child.poll() is None:  # it has swallowed some
            child.send_signal(signal.SIGINT)
            time.sleep(_GONE_WITHIN_S)
        left = _sleepers()
    finally:
        child.kill()
        child.wait()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


def _sleepers() -> list[int]:
    """The processes of the command that is interrupted: on the nodes, which are on this machine."""
    wanted, found = _SLEEP.encode().split(), []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # gone meanwhile
            continue
        if words[:2] == wanted or (words[1:2] == [b"-c"] and _SLEEP.encode() in words[2]):
            found.append(int(path.parent.name))
    return found


def sick_rounds(site: Site) -> Iterator[Figure]:
    """One node is frozen and two are dead: that delays the round in which it is noticed, and no other."""
    with site.lab("shell-sick", _NODES, gpus=0) as lab:
        env = site.environment(lab) | {"CLBALANCE_STATE_DIR": str(site.folder / "sick-state")}
        with TypedShell(_SHELL, env) as shell:
            for line in ("true", "load", "true"):
                shell.line(line)
            lab.node(_FROZEN).hang()
            for name in _DEAD:
                lab.node(name).kill()
            noticed_s = shell.line("true").wall_s
            for line in ("true", "load"):
                taken = [_line(shell, line).wall_s for _ in range(2 * site.rounds)]
                yield _sick_figure(line, taken, noticed_s)
        lab.node(_FROZEN).thaw()


def _sick_figure(line: str, taken: Sequence[float], noticed_s: float) -> Figure:
    return Figure(
        name=f"{line} in the shell, 1 frozen and 2 dead of {_NODES}",
        value=max(taken),
        unit="s at most",
        limit=1.2,
        ours_s=Spread.of(taken),
        note=f"{noticed_s:.2f} s in the round that noticed it",
    )


MEASUREMENTS = (
    Measurement(
        "shell-lines",
        f"lines typed in `shell` of {_NODES} nodes until the prompt is back, against clush and ssh",
        typed_lines,
    ),
    Measurement("shell-interrupt", f"Ctrl-C at {_INTERRUPTS} moments of a command on {_NODES} nodes", interrupts),
    Measurement(
        "shell-sick", f"lines typed in `shell` of {_NODES} nodes of which 1 is frozen and 2 are dead", sick_rounds
    ),
)
