"""Playbooks: a sliding window against batches, with one slow node in each batch of four; and against ansible-playbook."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from clbalance.lab.cluster import Lab

from .figure import Aggregate, ratio_figure
from .site import CLBALANCE, Site

_NODES = 12
_ALL = f"node[1-{_NODES}]"
_STEP = 'sleep "$(cat "$HOME/nap")"'
_SLOW_S, _QUICK_S = 5.0, 0.5
_SLOW = ("node1", "node5", "node9")
"""By name, one in each batch of four."""


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
