"""What ClusterShell's `nodeset` reads is read the same way, or refused in words; and no odd name gets into a command."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from ClusterShell.NodeSet import ILLEGAL_GROUP_CHARS, NodeSet
from ClusterShell.NodeUtils import GroupResolverConfig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clbalance.errors import ClbalanceError, NodeNameError
from clbalance.nodeset import NodeSets, fold
from clbalance.transport.groups import load_groups

CONFIG = r"""
[Main]
default: y
autodir: $CFGDIR
[up]
map: printf '%s\n' "$GROUP" >>$CFGDIR/asked; sed -n "s/^$GROUP://p" $CFGDIR/names
all: echo n[1-9]
list: cut -d: -f1 $CFGDIR/names
[sinfo]
map: printf '%s\n' "$GROUP" >>$CFGDIR/asked; sed -n "s/^$GROUP://p" $CFGDIR/names
list: printf 'gpu\nbatch*\nx1y[3-4]\n'
[whole]
mapall: printf 'gpu: n1\nrack=1: n2\nbatch*: n3\ni/j: n4\n'
[quiet]
map: printf '%s\n' "$GROUP" >>$CFGDIR/asked; sed -n "s/^$GROUP://p" $CFGDIR/names
"""
NAMES = "gpu:n[1-4]\nrack1:n[1-2]\nrack2:n[3-4]\nbatch:n6\nx1y3:n7\nx1y4:n8\nrack=1:n5\ni/j:n7\n"
YAML = r"""
y:
  gpu: 'n[1-4]'
  cpu: 'n[5-8]'
  rack=1: 'n[1-2]'
  rack=2: 'n[3-4]'
  i/j: 'n5'
  a+b: 'n6'
  'x~y': 'n7'
  'p%q': 'n8'
  'h#i': 'n9'
  'ü': 'n4'
  rack1: 'x1y[3-4]'
  rack2: 'n[3-4]'
  'b*': 'n6'
  'k:v': 'n7'
  all: 'n[1-9]'
  nested: '@rack=1,@i/j'
z:
  'rack=1': n9
"""
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    for name, text in (("groups.conf", CONFIG), ("names", NAMES), ("y.yaml", YAML), ("asked", "")):
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> NodeSets:
    return NodeSets(load_groups(folder / "groups.conf"))


@pytest.fixture(scope="module")
def theirs(folder: Path) -> GroupResolverConfig:
    return GroupResolverConfig([str(folder / "groups.conf")], illegal_chars=ILLEGAL_GROUP_CHARS)


READ_BY_BOTH = """x1y[3-4] x[1-2]y[3-4] n1[2-3] n[1-2]3 n[1-10/2] n[01-03] n[1,3-5]a[2-3]b 0x[1-2] [1-3] 10[1-3] 1[1-2]-2[3-4]
    x[1-2]y[3-4]z[5-6] n[1-2].d.org n[1-3]-ib[0-1] 007 fe80::[1-3] n01,n1 n[-2-1]
    @gpu @rack=1 @rack=[1-2] @i/j @a+b @x~y @p%q @h#i @ü @b* @y:k:v @nested @z:rack=1 @rack[1-2] @* @y:* @up:gpu
    @up:rack[1-2] @sinfo:batch @sinfo:x1y[3-4] @whole:gpu @whole:rack=1 @whole:batch* @whole:i/j @quiet:gpu
    n* n? n*!n3 @gpu&n* @gpu!@rack=1 @gpu^n9 @gpu,@cpu&n[1-9] @gpu,@rack=1^n1"""


@pytest.mark.parametrize(
    "text",
    READ_BY_BOTH.split(),
)
def test_what_nodeset_reads_is_read_the_same_way(ours: NodeSets, theirs: GroupResolverConfig, text: str) -> None:
    found = ours.expand(text)
    assert found
    assert set(found) == set(NodeSet(text, resolver=theirs))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@up:rack=1", "`rack=1` cannot be looked up in group source `up`: its `map` is a shell command"),
        ("@quiet:i/j", "`i/j` cannot be looked up in group source `quiet`"),
        ("@sinfo:batch*", "no group `sinfo:batch*`"),
        ("@up:x/e", "no group `up:x/e`"),
        ("@nosuch", "no group `nosuch`"),
        ("@y:", "no group `y:`"),
        ("@@z", "'rack=1' is not a node name"),
        ("@up:$(id)", "$ ( ) not allowed"),
        ("@up:x;id", "; not allowed"),
        ("n/1", "'n/1' is not a node name"),
        ("n=1", "= not allowed"),
        ("-x", "'-x' is not a node name"),
        ("user@n1", "it has a user's name"),
        ("n1\x00", "\\x00 not allowed"),
        ("\ufeffn1", "\\ufeff not allowed"),
        ("n[1-2", "missing bracket"),
        ("n[1-2][3-4]", "illegal reopening bracket"),
    ],
)
def test_what_is_not_taken_is_refused_in_words(ours: NodeSets, text: str, message: str) -> None:
    with pytest.raises(NodeNameError) as caught:
        ours.expand(text)
    assert message in caught.value.message
    assert caught.value.hint or "not usable" in caught.value.message


def test_line_ends_around_a_set_do_not_matter(ours: NodeSets) -> None:
    for text in ("@gpu\r\n", "\n n[1-4] \r", "@gpu\n"):
        assert fold(ours.expand(text)) == "n[1-4]"
    assert fold(ours.group("rack=1\r\n")) == "n[1-2]"


WORDS = (
    "n1 n[1-3] n[1-9/2] x1y[3-4] n* n?3 @gpu @rack=1 @rack=[1-2] @i/j @b* @z:rack=1 @whole:rack=1 @whole:batch*"
    " @up:gpu @up:rack=1 @up:i/j @sinfo:batch @sinfo:batch* @quiet:i/j @quiet:rack=1 @@z @* @y:* @nosuch"
)
PARTS = st.sampled_from(WORDS.split(" "))
TEXTS = st.tuples(PARTS, st.lists(st.tuples(st.sampled_from(",!&^"), PARTS), max_size=3)).map(
    lambda parts: parts[0] + "".join(operator + part for operator, part in parts[1])
) | st.from_regex(r"@?[a-z0-9=/*+~#%:@\[\],!&^ -]{1,12}", fullmatch=True)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_any_expression_is_the_same_set_or_refused_and_no_odd_name_gets_into_a_command(
    folder: Path, ours: NodeSets, theirs: GroupResolverConfig, text: str
) -> None:
    with suppress(ClbalanceError):
        found = ours.expand(text)
        assert set(found) == set(NodeSet(text, resolver=theirs))
    assert [name for name in (folder / "asked").read_text().splitlines() if not SAFE.fullmatch(name)] == []
