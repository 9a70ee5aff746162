"""The `reboot`, `shutdown` and `systemctl` of lab nodes, and how a node comes back from them.

They tell the node's init, which ends all other processes, waits, and starts again with another boot_id. Where a node
has namespaces, they also stand in place of the system's own, so that no path and no `sudo` leads to those.
"""

from collections.abc import Iterator
from pathlib import Path

from clbalance.errors import UsageError
from clbalance.lab.layout import NodeFolder
from clbalance.lab.load import REBOOTS
from clbalance.lab.namespaces import Isolation

NAMES = ("reboot", "shutdown", "systemctl")
HEALTH_TOOL = "node-health"
MOST_S = 86_400.0
_SYSTEM_PLACES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_TOOL = """\
#!/bin/sh
# clbalance lab: reboots this node, and does nothing else.
name=${{0##*/}}
case "$name $*" in
    reboot*|"shutdown -r"*|"systemctl reboot"*|"systemctl --no-block reboot"*) ;;
    *) echo "the lab's $name only reboots" >&2; exit 1 ;;
esac
init={init}
# An init of this node, and nobody else's: it has the node's folder in its environment.
if ! tr '\\0' '\\n' <"/proc/$init/environ" 2>/dev/null | grep -qxF 'CLBALANCE_LAB_NODE={folder}'; then
    echo "$name: not permitted" >&2
    exit 1
fi
exec /bin/sh -c 'kill -USR1 "$0"' "$init"
"""
_HEALTH_TOOL = """\
#!/bin/sh
# clbalance lab: exit codes as of Nagios' plugins.
if [ -e '{sick}' ]; then
    echo 'CRITICAL: it came back sick'
    exit 2
fi
echo OK
"""


def tool_text(folder: NodeFolder, isolation: Isolation) -> str:
    """The text of the three programs."""
    noted = f"$(sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p' '{folder.init}')"
    return _TOOL.format(init="1" if isolation is Isolation.NAMESPACES else noted, folder=folder.path)


def health_tool_text(folder: NodeFolder) -> str:
    """The text of a check that fails after a reboot to `sick`."""
    return _HEALTH_TOOL.format(sick=folder.sick)


def stand_ins(folder: NodeFolder) -> Iterator[tuple[str, str]]:
    """Pairs of a program of the node, and the system's own that it replaces. Often several names are one file."""
    targets = {
        str(found.resolve()) for place in _SYSTEM_PLACES for name in NAMES if (found := Path(place) / name).exists()
    }
    for target in sorted(targets):
        yield str(folder.bin / NAMES[0]), target


def check_reboot(how: str, seconds: float) -> None:
    """Raise `UsageError` for what no reboot can be."""
    if how not in REBOOTS:
        raise UsageError(f"{how!r} is no kind of reboot", hint=" or ".join(f"`{one}`" for one in REBOOTS))
    if not 0 <= seconds <= MOST_S:
        raise UsageError(f"a reboot of {seconds:g} s is outside 0 to {MOST_S:g}")
