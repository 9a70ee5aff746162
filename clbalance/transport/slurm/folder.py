"""The folders of Slurm jobs, on a file system that this host shares with the nodes.

<folder>/<key>.<claim>/       0700
  batch copy script stdin     written before sbatch is called, as is
  terms                       the number of copies, the time limit and the memory
  claim/                      made by the job itself when it begins, or by us to withdraw it; never removed
    job                       number in Slurm, nodes, and when it began
  stdout.N stderr.N           of the copy of rank N
  exit.N                      its exit code, and when it ended; appears whole
  messages                    of the batch script
"""

import contextlib
import os
from pathlib import Path

from clbalance.errors import EngineError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.engine import EngineOrder
from clbalance.model.job import Script
from clbalance.policy.slurm.scripts import (
    BATCH,
    CLAIM,
    CLAIMED,
    COPY,
    EXIT,
    SCRIPT,
    STDIN,
    TERMS,
    WITHDRAWN,
    batch_script,
    copy_script,
)
from clbalance.policy.slurm.states import Terms
from clbalance.ports import JobInput
from clbalance.probe.slurm.jobs import expanded

_PIECE_BYTES = 1 << 16
_MOST_TOLD = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a job has written when it began."""

    id: str
    nodes: tuple[NodeName, ...]
    """By rank."""
    began_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """What a copy has written at its end."""

    rc: int
    at_s: float


class JobFolder:
    """The folder of one attempt."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lay_out(self, order: EngineOrder, stdin: JobInput, *, copies: int) -> None:
        """Write what the job needs. `EngineError` if that fails: nothing was submitted."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
            payload = order.job.payload
            if isinstance(payload, Script):
                self._write(SCRIPT, payload.content or b"", 0o700)
            self._write(TERMS, f"{copies} {order.job.time_limit_s or 0:g} {order.request.mem_bytes}\n".encode())
            self._write(COPY, os.fsencode(copy_script(order, str(self.path))))
            self._write(BATCH, os.fsencode(batch_script(order, str(self.path), copies=copies)))
            self._write_input(stdin)
        except OSError as error:
            raise EngineError(
                f"the folder of the job cannot be written, `{self.path}`: {error.strerror}",
                hint="`[slurm] folder` in clbalance.toml names a folder that the nodes share",
            ) from error

    def _write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        with (self.path / name).open("xb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)

    def _write_input(self, stdin: JobInput) -> None:
        self._write(STDIN, b"")
        with (self.path / STDIN).open("ab") as file:
            while piece := stdin.read(file.tell(), _PIECE_BYTES):
                file.write(piece)

    def refresh(self) -> None:
        """See what nodes have made here since. A client of NFS asks its server anew when a folder is opened; until then
        it may say for a minute that a file is not there.
        """
        for folder in (self.path, self.path / CLAIM):
            with contextlib.suppress(OSError), os.scandir(folder):
                pass

    def terms(self) -> Terms:
        """What was asked for."""
        try:
            copies, time_limit_s, mem_bytes = self._told(TERMS).split()
            return Terms(copies=int(copies), time_limit_s=float(time_limit_s), mem_bytes=int(mem_bytes))
        except ValueError:  # somebody has removed it
            return Terms()

    def claim(self) -> Claim | None:
        """What the job has written when it began; None: it has not, as far as this host sees."""
        words = self._told(CLAIMED).split()
        if len(words) != 3 or not words[2].isdecimal():
            return None
        listed = [words[1]] if "[" in words[1] else words[1].split(",")
        nodes = tuple(node for word in listed for node in expanded(word))
        return Claim(id=words[0], nodes=nodes, began_at_s=float(words[2]))

    def exit_of(self, rank: int) -> Exit | None:
        """How a copy ended; None: it has not, as far as this host sees."""
        words = self._told(f"{EXIT}.{rank}").split()
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            return None
        return Exit(rc=int(words[0]), at_s=float(words[1]))

    def withdraw(self) -> bool:
        """Make the claim in the job's place. Whether that was done, now or before: so the job never starts."""
        try:
            (self.path / CLAIM).mkdir(mode=0o700)
            self._write(WITHDRAWN, b"")
        except FileExistsError:
            return (self.path / WITHDRAWN).exists()
        except OSError as error:
            raise EngineError(f"`{self.path}` cannot be written: {error.strerror}") from error
        return True

    def read(self, rank: int, stream: str, offset: int) -> bytes:
        """A piece of what a copy has written; empty: no more so far."""
        try:
            with (self.path / f"{stream}.{rank}").open("rb") as file:
                return os.pread(file.fileno(), _PIECE_BYTES, offset)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise EngineError(f"`{self.path}` cannot be read: {error.strerror}") from error

    def _told(self, name: str) -> str:
        with contextlib.suppress(OSError, UnicodeDecodeError), (self.path / name).open(encoding="utf-8") as file:
            return file.read(_MOST_TOLD)
        return ""
