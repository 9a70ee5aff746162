"""Many commands from a program: `Executor.map` against what people write first, `ssh` in a loop."""

from clbalance.lab.spec import LabSpec

from .question import Peer, Question

_COMMANDS, _NODES = 1000, 8
_OURS = f"list(Executor().map(['true'], map(str, range({_COMMANDS}))))"
_LOOP = f'n=0; while [ $n -lt {_COMMANDS // _NODES} ]; do for node; do ssh "$node" true; done; n=$((n + 1)); done'

QUESTIONS = (
    Question(
        "map",
        f"{_COMMANDS:,} commands from a program, on {_NODES} nodes",
        f'python3 -c "from clbalance import Executor; {_OURS}"',
        (Peer("ssh", f"sh -c '{_LOOP}' sh {{nodes}}", limit=1 / 20, rounds=1),),
        lab=LabSpec(nodes=_NODES, gpus=0, tied=True),
        amount=(_COMMANDS, "commands"),
    ),
)
