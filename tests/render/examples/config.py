"""Settings of every kind, and places that are there and not."""

from clbalance.render.report import Report
from clbalance.render.reports.admin.config import CheckReport, ConfigPlace, PlacesReport, SettingsReport, ShownKey
from clbalance.render.reports.admin.connections import ConnectionsReport, KeptConnection
from tests.render.examples import Example, one_file

KEYS = (
    ShownKey(key="groups_conf", value=None, origin="default"),
    ShownKey(key="ssh.options", value="-o Port=2222", origin="CLBALANCE_SSH_OPTIONS"),
    ShownKey(key="ssh.fanout", value=64.0, origin="default"),
    ShownKey(key="thresholds.ut_pct", value="off", origin="/etc/clbalance/clbalance.toml"),
    ShownKey(key="rebalance.guaranteed", value=False, origin="default"),
    ShownKey(
        key="nodes[1]",
        value={"set": "gpu[1-4]", "cpu_factor": 1.5, "labels": {"rack": "r1"}, "taints": ["old", "slow"]},
        origin="/etc/clbalance/clbalance.toml",
    ),
)
PLACES = (
    ConfigPlace(what="settings", path="/home/ann/clbalance.toml", is_there=False),
    ConfigPlace(what="groups", path="/etc/clustershell/groups.conf", is_there=True),
    ConfigPlace(what="state", path="/var/tmp/clbalance-state-7", is_there=True, remark="`/home/ann` is on nfs"),
)
CHECKED = CheckReport(("/home/ann/clbalance.toml", "/etc/clbalance/clbalance.toml"))
KEPT = ConnectionsReport(
    (
        KeptConnection(node="node1", sessions=0, age_s=7.2, socket="/run/user/1000/clbalance-ssh/0f1e2d3c/node1"),
        KeptConnection(node="node12", sessions=3, age_s=512.0, socket="/run/user/1000/clbalance-ssh/0f1e2d3c/node12"),
    )
)
EXAMPLES = (
    Example("config-show", (SettingsReport(KEYS),)),
    Example("config-path", (PlacesReport(PLACES),)),
    Example("config-connections", (KEPT, ConnectionsReport(()))),
    Example("config-check", (CHECKED,), one_file("config-check-human.txt", "80", "140", "pipe")),
)


def hostile(one: str, other: str) -> list[Report]:
    values = ({"set": one, "labels": {other: one}, "taints": [other]}, one)
    keys = tuple(ShownKey(key=other, value=value, origin=one) for value in values)
    places = (ConfigPlace(what=one, path=other, is_there=True, remark=one),)
    kept = ConnectionsReport((KeptConnection(node=one, sessions=1, age_s=1.0, socket=other),))
    return [SettingsReport(keys), PlacesReport(places), CheckReport((one, other)), kept]
