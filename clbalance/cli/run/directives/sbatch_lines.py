"""Read the `#SBATCH` lines of a script as sbatch does. Pure.

Source: the options of sbatch(1), Slurm 24.05.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from getopt import GetoptError, gnu_getopt

from clbalance.cli.run.directives.comments import CommentLine
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass

SBATCH_LINE = re.compile(rb"#SBATCH[ \t]+(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One option of a script, with its place for messages."""

    name: str
    value: str
    where: str

    @property
    def written(self) -> str:
        """As in the script, in the long spelling."""
        return f"--{self.name}={self.value}" if self.value else f"--{self.name}"


def sbatch_options(lines: Iterable[CommentLine], script: str) -> list[Asked]:
    """The options of the `#SBATCH` lines before the first command. `UsageError` where sbatch would refuse a line."""
    asked: list[Asked] = []
    for line in lines:
        if line.is_leading and (found := SBATCH_LINE.fullmatch(line.text)):
            where = f"{script}:{line.number}"
            try:
                words = shlex.split(found[1].decode(errors="surrogateescape"), comments=True)
            except ValueError as error:
                raise UsageError(f"{where}: {error}", hint="quote as for a shell") from error
            asked += read_options(words, where)
    return asked


def read_options(words: Sequence[str], where: str) -> list[Asked]:
    """The options of one line, read by getopt as sbatch does. `UsageError` if sbatch would refuse it, too."""
    try:
        pairs, rest = gnu_getopt([_FLAG.sub(r"\1", word) for word in words], _SHORT, _LONG.split())
    except GetoptError as error:
        raise UsageError(f"{where}: #SBATCH: {error}", hint="`man sbatch` lists the options") from error
    if rest:
        raise UsageError(f"{where}: #SBATCH: {rest[0]!r} is no option", hint="`man sbatch` lists the options")
    return [Asked(name=_NAME_OF.get(option, option[2:]), value=value, where=where) for option, value in pairs]


_FLAG = re.compile(r"(--(?:exclusive|get-user-env|nice|no-kill|propagate))=.*")
"""Options whose value may be left out, which getopt does not know: the value has no counterpart here."""

# The long options of sbatch; those with `=` take a value.
_LONG = """
    account= acctg-freq= array= batch= bb= bbf= begin= chdir= cluster-constraint= clusters= comment= constraint=
    container= container-id= contiguous core-spec= cores-per-socket= cpu-freq= cpus-per-gpu= cpus-per-task=
    deadline= delay-boot= dependency= distribution= error= exclude= exclusive export= export-file= extra=
    extra-node-info= get-user-env gid= gpu-bind= gpu-freq= gpus= gpus-per-node= gpus-per-socket= gpus-per-task=
    gres= gres-flags= hint= hold ignore-pbs input= job-name= kill-on-invalid-dep= licenses= mail-type= mail-user=
    mcs-label= mem= mem-bind= mem-per-cpu= mem-per-gpu= mincpus= network= nice no-kill no-requeue nodefile=
    nodelist= nodes= ntasks= ntasks-per-core= ntasks-per-gpu= ntasks-per-node= ntasks-per-socket= open-mode= output=
    overcommit oversubscribe parsable partition= power= prefer= priority= profile= propagate qos= quiet reboot
    requeue reservation= segment= signal= sockets-per-node= spread-job stepmgr switches= test-only thread-spec=
    threads-per-core= time= time-min= tmp= tres-bind= tres-per-task= uid= use-min-nodes verbose wait wait-all-nodes=
    wckey= wrap=
"""
_SHORT = "A:a:B:b:C:c:D:d:e:F:G:Hi:J:kL:M:m:N:n:Oo:p:q:QsS:t:vw:Wx:"
_NAME_OF = {
    "-A": "account", "-a": "array", "-B": "extra-node-info", "-b": "begin", "-C": "constraint", "-c": "cpus-per-task",
    "-D": "chdir", "-d": "dependency", "-e": "error", "-F": "nodefile", "-G": "gpus", "-H": "hold", "-i": "input",
    "-J": "job-name", "-k": "no-kill", "-L": "licenses", "-M": "clusters", "-m": "distribution", "-N": "nodes",
    "-n": "ntasks", "-O": "overcommit", "-o": "output", "-p": "partition", "-q": "qos", "-Q": "quiet",
    "-s": "oversubscribe", "-S": "core-spec", "-t": "time", "-v": "verbose", "-w": "nodelist", "-W": "wait",
    "-x": "exclude",
}  # fmt: skip
