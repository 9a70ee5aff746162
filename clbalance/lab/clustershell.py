"""ClusterShell's configuration files for a lab, as text; ClusterShell itself is not used here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

GROUPS_CONF = """\
[Main]
default: local
autodir: $CFGDIR/groups.d

[local]
map: sed -n 's/^$GROUP: //p' $CFGDIR/groups
all: sed -n 's/^all: //p' $CFGDIR/groups
list: sed -n 's/^\\([^:]*\\): .*/\\1/p' $CFGDIR/groups
"""


def groups_table(groups: Mapping[str, Sequence[str]]) -> str:
    """What the upcalls of `GROUPS_CONF` read."""
    return "".join(f"{name}: {' '.join(members)}\n" for name, members in groups.items())


def clush_conf(ssh_config: Path) -> str:
    """clush on the lab's nodes."""
    return f"[Main]\nfanout: 64\nconnect_timeout: 10\ncommand_timeout: 0\nssh_options: -F {ssh_config}\n"
