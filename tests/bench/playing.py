"""Playbooks: a sliding window against batches, with one slow node in each batch of four; and against ansible-playbook.

And what a look at a large playbook costs.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from clbalance.lab.cluster import Lab

from .figure import Aggregate, Spread, ratio_figure
from .site import CLBALANCE, Site, timed

_NODES = 12
_ALL = f"node[1-{_NODES}]"
_STEP = 'sleep "$(cat "$HOME/nap")"'
_SLOW_S, _QUICK_S = 5.0, 0.5
_SLOW = ("node1", "node5", "node9")
"""By name, one in each batch of four."""
_STEPS, _CHECKED_NODES = 200, 1_000
_CHECK_WITHIN_S = 0.3


def play(site: Site) -> Iterator[Aggregate]:
    """The same command on all nodes, ten times as long on three of them."""
    with site.lab("play", _NODES, gpus=0) as lab:
        env = site.environment(lab)
        for node in lab.nodes:
            seconds = _SLOW_S if node.name in _SLOW else _QUICK_S
            (node.folder.home("root") / "nap").write_text(f"{seconds}\n")
        window, serial = (_book(site.folder / f"{key}.yml", key) for key in ("window", "serial"))
        ours = [CLBALANCE, "play", str(window), "-w", _ALL]
        pairs = max(1, site.pairs // 4)
        runs = site.interleaved(ours, [CLBALANCE, "play", str(serial), "-w", _ALL], env, pairs=pairs)
        yield ratio_figure("play, one slow node in four: window 4", *runs, limit=0.5, note="serial 4")
        ansible = shutil.which("ansible-playbook", path=env.get("PATH")) or shutil.which("ansible-playbook")
        if ansible is None:
            print("bench: no ansible-playbook here; that comparison is left out")
            return
        runs = site.interleaved(ours, [ansible, *_ansible(site.folder, lab)], env, pairs=pairs)
        yield ratio_figure("play, one slow node in four: window 4", *runs, limit=0.5, note="ansible serial: 4")


def play_check(site: Site) -> Iterator[Aggregate]:
    """The processor time of `play --check`, from the start of the program to its end."""
    steps = "".join(
        f"""
  - name: step {number}
    run: 'test -e "/tmp/$VAR_name.{number}" || touch "/tmp/$VAR_name.{number}"'
    register: was_{number}
    when: vars.name = "a" and r1m < {number + 1}
    retries: 2
    until: result.rc = 0
    timeout: 5m"""
        for number in range(_STEPS)
    )
    book = site.folder / "large.yml"
    book.write_text(f"hosts: 'n[1-{_CHECKED_NODES}]'\nmin_available: 80%\ndrain:\nvars: {{name: a}}\nsteps:{steps}\n")
    argv, env = [CLBALANCE, "play", str(book), "--check"], site.environment()
    timed(argv, env)  # compiles what it imports
    times = [timed(argv, env).cpu_s for _ in range(site.pairs)]
    yield Aggregate(
        name=f"play --check, {_STEPS} steps, {_CHECKED_NODES:,} nodes",
        value=min(times),
        unit="s of processor time, the best",
        limit=_CHECK_WITHIN_S,
        ours_s=Spread.of(times),
    )


def _book(path: Path, key: str) -> Path:
    path.write_text(f"name: nap\norder: name\n{key}: 4\nsteps:\n  - run: {_STEP}\n")
    return path


def _ansible(folder: Path, lab: Lab) -> list[str]:
    """The same play, without facts, so that only the command is compared."""
    book, inventory = folder / "ansible.yml", folder / "inventory"
    book.write_text(f"- hosts: all\n  gather_facts: false\n  serial: 4\n  tasks:\n    - raw: {_STEP}\n")
    options = f"ansible_ssh_common_args='-F {lab.ssh_config}'"
    inventory.write_text("".join(f"node{at} {options}\n" for at in range(1, _NODES + 1)))
    return ["-i", str(inventory), str(book)]
