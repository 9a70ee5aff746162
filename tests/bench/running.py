"""Running work: the least job there is, on a node that was named, on the best of many, on all; and 100 MB of output."""

from collections.abc import Iterator
from contextlib import contextmanager

from clbalance.lab.spec import LabSpec

from .masters import KEPT, ends_kept
from .question import Peer, Question
from .site import Place
from .slurm import CONFIG, slurm

_MANY = LabSpec(nodes=32, gpus=0, tied=True)
_ALL = "node[1-32]"
_BIG_BYTES = 100_000_000
_FANOUT = 64
"""As many at once as ours has by default; all of them are."""


@contextmanager
def _big_file(place: Place) -> Iterator[None]:
    big = place.cluster.node("node3").folder.tmp / "big"
    big.write_bytes(bytes(range(256)) * (_BIG_BYTES // 256))
    (place.folder / "big").symlink_to(big)
    yield
    big.unlink()


QUESTIONS = (
    Question(
        "run-one",
        "run -- true on a node that was named",
        "clbalance run -w node3 -- true",
        (Peer("clush", "clush -w node3 true", limit=2.5), Peer("ssh", "ssh node3 true")),
        lab=LabSpec(nodes=8, tied=True),
    ),
    Question(
        "run-best",
        "run -- true on the best of 32, no connection kept",
        f"clbalance run -w {_ALL} -- true",
        (
            Peer("ssh", "ssh node3 true", limit=2.5),
            Peer("Slurm", "srun true", around=slurm, environment={"SLURM_CONF": CONFIG}),
        ),
        lab=_MANY,
    ),
    Question(
        "run-best-again",
        "the same again within a minute, connections kept",
        f"clbalance run -w {_ALL} -- true",
        (Peer("ssh", "ssh node3 true", limit=1.5),),
        lab=_MANY,
        environment=KEPT,
        around=ends_kept,
    ),
    Question(
        "run-all",
        "run -- true on 32 nodes",
        f"clbalance run -w {_ALL} --pick all -- true",
        (
            Peer("clush", f"clush -w {_ALL} true"),
            Peer("pdsh", f"pdsh -R ssh -f {_FANOUT} -w {_ALL} true"),
            Peer("parallel-ssh", "{python} {peers}/with_parallel_ssh.py {lab}/ssh_config true {nodes}"),
            Peer("asyncssh", "{python} {peers}/with_asyncssh.py {lab}/ssh_config true {nodes}"),
            Peer(
                "Ansible",
                f"ansible all -i {{inventory}} -f {_FANOUT} -m raw -a true",
                environment={"ANSIBLE_SSH_ARGS": "-oControlMaster=no"},
            ),
        ),
        lab=_MANY,
    ),
    Question(
        "run-slurm",
        "run --engine slurm -- true",
        "clbalance run --engine slurm -w node2 -- true",
        (Peer("Slurm", "sbatch --wait --output=/dev/null --wrap=true", limit=1.5),),
        lab=LabSpec(nodes=2, gpus=0, tied=True, slurm=True),
    ),
    Question(
        "output",
        "run of 100 MB of output",
        "clbalance run -q -w node3 -- cat {folder}/big",
        (Peer("ssh", "ssh node3 cat {folder}/big"),),
        lab=LabSpec(nodes=4, tied=True),
        rounds=5,
        around=_big_file,
        amount=(_BIG_BYTES / 1e6, "MB"),
    ),
)
