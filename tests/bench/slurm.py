"""A Slurm of one node, for `srun`: slurmctld and slurmd of our own, without munge, which end with the question."""

import os
import platform
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from clbalance.lab.config_files import SYSTEM_PATH

from .site import Place, WrongRunError

_WITHIN_S = 30.0
_CPUS = 64
_CONFIG = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm(place: Place) -> Iterator[None]:
    """Up once its node is idle; the messages of both daemons are in its folder."""
    folder = place.folder / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host, user = platform.node().partition(".")[0], pwd.getpwuid(os.geteuid()).pw_name
    config = folder / "slurm.conf"
    config.write_text(_CONFIG.format(host=host, user=user, ports=_free_ports(), folder=folder, cpus=_CPUS))
    env = {"PATH": SYSTEM_PATH, "SLURM_CONF": str(config)}
    with ExitStack() as stack:
        for name in ("slurmctld", "slurmd"):
            program = shutil.which(name, path=SYSTEM_PATH)
            if program is None:
                raise WrongRunError(f"not installed: {name}")
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            daemon = subprocess.Popen([program, "-D"], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(_end, daemon)
        _wait(env)
        yield


def _free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for listener in (one, other):
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in (one, other)]


def _wait(env: dict[str, str]) -> None:
    until = time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        asked = subprocess.run(["sinfo", "-h", "-o", "%T"], env=env, capture_output=True, text=True, check=False)
        if asked.stdout.strip() == "idle":
            return
        time.sleep(0.2)
    raise WrongRunError(f"no idle node within {_WITHIN_S:g} s: {asked.stdout}{asked.stderr}")


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(_WITHIN_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
