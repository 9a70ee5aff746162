"""The Slurm of a lab (`lab up --slurm`): its configuration, and the daemons that the nodes' inits start."""

import os
import secrets
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from clbalance.errors import LabError
from clbalance.lab.config_files import SYSTEM_PATH, find_installed
from clbalance.lab.layout import Service
from clbalance.lab.record import Record
from clbalance.lab.spec import SLURM_PARTITION
from clbalance.lazy_dataclass import dataclass

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sinfo")
_CONTROLLER_PORT, _SLURMD_PORT = 2223, 2224  # next to that of sshd
_KEY_BYTES = 128
_MUNGE_THREADS = 10  # as Slurm's own messages advise
_MIB = 2**20
_OWN_ADDRESSES = "CommunicationParameters="
_SCHEDULER = "batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1,default_queue_depth=1000"
_MOST_TASKS = 4000
"""Of a job array: Slurm's own 1,000 are few beside what `run --array` takes."""
_IDLE_WITHIN_S = 300.0
"""It takes 3 s, and a busy machine many times that."""
_POLL_S = 0.05
_ONCE_MUNGED_ANSWERS = 'until "$1" --socket="$2" --no-input; do sleep 0.05; done; shift 2; exec "$@"'
"""For `sh -c`: a program, after that of munge(1) and the socket. A boot finds the socket of the boot before."""


def find_slurm(path: str = SYSTEM_PATH) -> Mapping[str, str]:
    """The absolute paths of `PROGRAMS` by name, or `LabError`, which says what to install."""
    found, missing = find_installed(PROGRAMS, path)
    if missing:
        raise LabError(f"`--slurm` needs {', '.join(missing)}", hint="`apt-get install slurm-wlm munge`")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSlurm:
    """Slurm on the second half of a lab's nodes; slurmctld and munged run on the first node."""

    folder: Path
    """What all its nodes share: configuration, munged's socket, logs, the controller's state."""
    record: Record

    @classmethod
    def of(cls, directory: Path, record: Record) -> "LabSlurm | None":
        """The Slurm of that lab; None if it has none."""
        return cls(folder=directory / "slurm", record=record) if record.spec.slurm else None

    @property
    def config(self) -> Path:
        """slurm.conf(5), for SLURM_CONF."""
        return self.folder / "slurm.conf"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that run slurmd."""
        return self.record.spec.groups()[SLURM_PARTITION]

    @property
    def _controller(self) -> str:
        return self.record.spec.node_names()[0]

    @property
    def _socket(self) -> Path:
        return self.folder / "munge.socket"

    @property
    def _task_prolog(self) -> Path:
        """Gives jobs a configuration in which `srun` listens on any address."""
        return self.folder / "task_prolog"

    def lay_out(self) -> None:
        """Write its files."""
        self.folder.mkdir(mode=0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(_KEY_BYTES))
        lines = self._config_lines()
        self.config.write_text("".join(f"{line}\n" for line in lines))
        # A step's node calls back the srun that began it by another address than that of the node where srun runs.
        for_jobs = self.folder / "job.conf"
        for_jobs.write_text("".join(f"{line}\n" for line in lines if not line.startswith(_OWN_ADDRESSES)))
        prolog = self._task_prolog
        prolog.write_text(f"#!/bin/sh\necho export SLURM_CONF={quote(str(for_jobs))}\n")
        prolog.chmod(0o755)
        # Slurm wants a device file for each GPU. It only counts them, into CUDA_VISIBLE_DEVICES.
        devices = [self.folder / f"gpu{number}" for number in range(self.record.spec.gpus)]
        for device in devices:
            device.symlink_to(os.devnull)
        lines = [f"NodeName={name} Name=gpu File={device}\n" for name in self.nodes for device in devices]
        (self.folder / "gres.conf").write_text("".join(lines))

    def _config_lines(self) -> list[str]:
        spec, addresses, folder = self.record.spec, self.record.addresses(), self.folder
        gres = f" Gres=gpu:{spec.gpus}" if spec.gpus else ""
        return [
            "ClusterName=lab",
            f"SlurmctldHost={self._controller}({addresses[self._controller]})",
            f"SlurmctldPort={_CONTROLLER_PORT}",
            f"SlurmdPort={_SLURMD_PORT}",
            # Each listens on its own address alone, which it finds by its name in the node's /etc/hosts.
            f"{_OWN_ADDRESSES}NoInAddrAny,NoCtldInAddrAny",
            f"TaskProlog={self._task_prolog}",
            f"SlurmUser={self.record.user}",
            f"SlurmdUser={self.record.user}",
            "AuthType=auth/munge",
            f"AuthInfo=socket={self._socket}",
            "CredType=cred/munge",
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool/%n",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            f"SlurmdPidFile={folder}/slurmd-%n.pid",
            f"SlurmctldLogFile={folder}/slurmctld.log",
            f"SlurmdLogFile={folder}/slurmd-%n.log",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "MpiDefault=none",
            "JobAcctGatherType=jobacct_gather/none",
            "AccountingStorageType=accounting_storage/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core",
            "SlurmdParameters=config_overrides",  # cpus and memory of the nodes are pretended
            "GresTypes=gpu",
            "ReturnToService=2",  # a node that was rebooted comes back
            # Daemons of a busy machine answer late, and are well.
            "SlurmdTimeout=60",
            "MessageTimeout=30",
            # A small cluster wants answers at once: sbatch(1) alone takes half a second otherwise.
            f"SchedulerParameters={_SCHEDULER}",
            f"MaxArraySize={_MOST_TASKS + 1}",
            *(
                f"NodeName={name} NodeAddr={addresses[name]} CPUs={spec.cpus} RealMemory={spec.mem_bytes // _MIB}{gres}"
                for name in self.nodes
            ),
            f"PartitionName={SLURM_PARTITION} Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
        ]

    def services(self, node: str, programs: Mapping[str, str]) -> tuple[Service, ...]:
        """What the init of that node starts; `programs` as from `find_slurm`."""
        env = {"SLURM_CONF": str(self.config)}
        services = []
        if node == self._controller:
            files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "seed-file": "seed"}
            options = [f"--{option}={self.folder / name}" for option, name in files.items()]
            options += [f"--origin={self.record.addresses()[node]}", f"--num-threads={_MUNGE_THREADS}"]
            log = str(self.folder / "munged.log")
            # By force, since others cannot enter the lab's folder: munged would refuse that.
            argv = (programs["munged"], "--foreground", "--force", *options)
            services.append(Service(argv=argv, log=log))
            # slurmctld ends at once where munged does not answer.
            asking = ("/bin/sh", "-c", _ONCE_MUNGED_ANSWERS, "sh", programs["munge"], str(self._socket))
            argv = (*asking, programs["slurmctld"], "-D")
            services.append(Service(argv=argv, env=env, log="/dev/null"))
        if node in self.nodes:
            services.append(Service(argv=(programs["slurmd"], "-D", "-N", node), env=env, log="/dev/null"))
        return tuple(services)

    def await_idle(self) -> None:
        """Return once Slurm calls all nodes idle; `LabError` if it does not."""
        until = time.monotonic() + _IDLE_WITHIN_S
        while True:
            asked = subprocess.run(
                ["sinfo", "-h", "-N", "-o", "%T"],
                env={"PATH": SYSTEM_PATH, "SLURM_CONF": str(self.config)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            # Slurm has not heard yet from a node that it calls `idle*`.
            if asked.stdout.split() == ["idle"] * len(self.nodes):
                return
            if time.monotonic() > until:
                said = (asked.stderr or asked.stdout).strip()
                raise LabError(f"Slurm's nodes are not idle after {_IDLE_WITHIN_S:g} s: {said}")
            time.sleep(_POLL_S)
