"""What `config show` and `config path` print."""

import json
from collections.abc import Callable

import pytest

from clbalance.render.config import Place, ShownKey
from clbalance.render.format import Format
from clbalance.render.renderer import Renderer, renderer

FORMS: dict[str, Renderer] = {
    "80": renderer(Format.HUMAN, terminal_width=80, color=False),
    "pipe": renderer(Format.HUMAN, terminal_width=None, color=False),
    "json": renderer(Format.JSON, terminal_width=None, color=False),
    "plain": renderer(Format.PLAIN, terminal_width=None, color=False),
}
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
    Place(what="settings", path="/home/ann/clbalance.toml", is_there=False),
    Place(what="groups", path="/etc/clustershell/groups.conf", is_there=True),
    Place(what="state", path="/var/tmp/clbalance-state-7", is_there=True, remark="`/home/ann` is on nfs"),
)


@pytest.mark.parametrize("form", FORMS)
def test_config(form: str, golden: Callable[[str, str], None]) -> None:
    suffix = "json" if form == "json" else "txt"
    for verb, told in (("show", FORMS[form].settings(KEYS)), ("path", FORMS[form].places(PLACES))):
        text = json.dumps(json.loads(told), indent=1) + "\n" if form == "json" else told
        golden(f"config-{verb}-{form}.{suffix}", text)
