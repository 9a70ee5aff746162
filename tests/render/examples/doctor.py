"""A cluster with something wrong on most of its nodes."""

from clbalance.cli.admin.doctor import health_report
from clbalance.model import Cause, NodeName, Silent, TmpSpace, Unknown
from clbalance.model.checkup import Entry, Examination, Folder, Logind, Mount, NodeFolders, Python, note, wrong
from clbalance.render.report import Report
from tests.policy.health import examined, folder, usual
from tests.render.examples import Example

HERE = [note("state", "`/home/u/.local/state` is on nfs4", "set `CLBALANCE_STATE_DIR`")]


def mute(name: str, cause: Cause, reason: str = "") -> Silent:
    return Silent(node=NodeName(name), cause=cause, reason=reason)


def cluster() -> list[Examination]:
    return [
        examined("node1"),
        examined("node2", python=None),
        examined("node3", python=None, clock_offset_s=3.0),
        examined("node4", folders=usual(mount=Mount(root="/", point="/var/tmp", type="nfs4"))),
        examined(
            "node5",
            python=Python(path="/usr/bin/python3", version=Unknown(reason="it failed with 1")),
            logind=Logind(kills_user_processes=True, lingers=False),
        ),
        examined("node6", folders=NodeFolders(made=folder("/var/lib/clbalance", mode=0o775), usual=folder())),
        mute("node7", Cause.REFUSED, "connect to host node7 port 22: Connection refused"),
        mute("node8", Cause.REFUSED, "connect to host node8 port 22: Connection refused"),
        mute("node9", Cause.HOSTKEY_CHANGED, "REMOTE HOST IDENTIFICATION HAS CHANGED!"),
    ]


EXAMPLES = (Example("doctor", (health_report(HERE, cluster()),)),)


def hostile(text: str, other: str) -> list[Report]:
    path = Folder(
        path=text,
        real=text,
        entry=Entry(path=text, uid=7, mode=0),
        is_link=False,
        writable=False,
        homes=(),
        mount=Mount(root=text, point=text, type=text),
        space=TmpSpace(path=text, total_bytes=1, free_bytes=0),
    )
    examinations: list[Examination] = [
        examined("a", folders=NodeFolders(named=path), python=Python(path=text, version=Unknown(reason=text))),
        examined("b", folders=NodeFolders(usual=Unknown(reason=text)), clock_offset_s=float("inf")),
        mute("c", Cause.NO_SHELL, text),
    ]
    return [health_report([wrong("settings", text, other)], examinations)]
