"""Playbooks: a sliding window against batches, with one slow node in each batch of four; and against ansible-playbook.

And what a look at a large playbook costs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from clbalance.lab.spec import LabSpec

from .figure import Figure, Spread
from .programs import OTHER_WAY
from .question import Measurement, Peer, Question
from .site import CLBALANCE, Place, Site, timed

_NODES = 12
_ALL = f"node[1-{_NODES}]"
_STEP = 'sleep "$(cat "$HOME/nap")"'
_SLOW_S, _QUICK_S = 5.0, 0.5
_SLOW = ("node1", "node5", "node9")
"""By name, one in each batch of four."""
_STEPS, _CHECKED_NODES = 200, 1_000
_CHECK_WITHIN_S = 0.3


@contextmanager
def _books(place: Place) -> Iterator[None]:
    """How long each node takes, our two playbooks, and Ansible's: without facts, so that only the command is compared."""
    for node in place.cluster.nodes:
        seconds = _SLOW_S if node.name in _SLOW else _QUICK_S
        (node.folder.home(place.cluster.record.user) / "nap").write_text(f"{seconds}\n")
    for key in ("window", "serial"):
        (place.folder / f"{key}.yml").write_text(f"name: nap\norder: name\n{key}: 4\nsteps:\n  - run: {_STEP}\n")
    theirs = f"- hosts: all\n  gather_facts: false\n  serial: 4\n  tasks:\n    - raw: {_STEP}\n"
    (place.folder / "ansible.yml").write_text(theirs)
    yield


def play_check(site: Site) -> Iterator[Figure]:
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
    times = [timed(argv, env).cpu_s for _ in range(site.rounds)]
    yield Figure(
        name=f"play --check, {_STEPS} steps, {_CHECKED_NODES:,} nodes",
        value=min(times),
        unit="s of processor time, the best",
        limit=_CHECK_WITHIN_S,
        ours_s=Spread.of(times),
    )


QUESTIONS = (
    Question(
        "play",
        "play with `window: 4` on 12 nodes, of which one in four is slow, against `serial: 4`",
        f"clbalance play {{folder}}/window.yml -w {_ALL}",
        (
            Peer(OTHER_WAY, f"clbalance play {{folder}}/serial.yml -w {_ALL}", limit=0.5),
            Peer("Ansible", "ansible-playbook -i {inventory} {folder}/ansible.yml", limit=0.5),
        ),
        lab=LabSpec(nodes=_NODES, gpus=0, tied=True),
        rounds=2,
        around=_books,
    ),
)
MEASUREMENTS = (
    Measurement("check", f"play --check of {_STEPS} steps on {_CHECKED_NODES:,} nodes: processor time", play_check),
)
