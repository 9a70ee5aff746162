"""`[index.NAME]`, `[check.NAME]` and `[plugins]`: what may stand there, and what is said of the rest."""

import pytest

from clbalance.errors import SettingsError
from clbalance.settings.values import EntryPoints, ProgramSettings

from .conftest import Place

INDEX = '[index.scratch]\nprogram = "scratch.sh"\n'


def test_a_program_lies_beside_the_file_that_names_it(place: Place) -> None:
    place.write(place.user, f'{INDEX}arguments = ["-w", "10%"]\nunit = "percent"\nbusy_below = 5\n')
    index = place.load().plugins.indices["scratch"]
    assert index.program == ProgramSettings(here=str(place.user.parent / "scratch.sh"), arguments=("-w", "10%"))
    assert (index.field, index.unit, index.busy_below, index.has_column) == ("scratch", "percent", 5, True)


def test_a_stronger_files_table_replaces_the_other_as_a_whole(place: Place) -> None:
    place.write(place.system, f'{INDEX}busy_below = 5\n[check.disk]\nnode_program = "/usr/lib/check_disk"\n')
    place.write(place.project, '[index.scratch]\nnode_program = "/opt/scratch"\n')
    plugins = place.load().plugins
    assert plugins.indices["scratch"].program == ProgramSettings(there="/opt/scratch")
    assert plugins.indices["scratch"].busy_below is None
    assert plugins.checks["disk"].program.there == "/usr/lib/check_disk"


def test_entry_points_are_named_in_plugins(place: Place) -> None:
    place.write(place.user, '[plugins]\nfilters = ["a", "b.c", "a"]\nscorers = { cool = 2, "x-1" = 0.5 }\n')
    assert place.load().entry_points == EntryPoints(filters=("a", "b.c"), scorers={"cool": 2, "x-1": 0.5})


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        pytest.param('index = 3\n', "`index` is 3", "[index.NAME]", id="index that is no table"),
        pytest.param('[index]\nscratch = "x"\n', "`index.scratch` is the string 'x'", "[index.scratch]", id="an index that is none"),
        pytest.param('[index.Scratch]\nprogram = "x"\n', "has the name 'Scratch'", "lower-case", id="a name in capitals"),
        pytest.param('[index."a b"]\nprogram = "x"\n', "has the name 'a b'", "lower-case", id="a name with a blank"),
        pytest.param('[index.a]\nunit = "percent"\n', "has no `program` or", "give one of them", id="no source"),
        pytest.param('[index.a]\nprogram = "x"\ncheck = "y"\n', "has `program` and `check`", "give one", id="two sources"),
        pytest.param('[index.a]\ncheck = "y"\narguments = []\n', "`arguments` goes with", "leave it out", id="arguments of a check"),
        pytest.param('[index.a]\nnode_program = "bin/x"\n', "the string 'bin/x'", "on the nodes", id="a path that is not whole"),
        pytest.param('[index.a]\nnode_program = "/a/../b"\n', "the string '/a/../b'", "on the nodes", id="a path that goes up"),
        pytest.param('[index.a]\nprogram = "x"\ntimeout_s = 0\n', "`index.a.timeout_s` is 0", "from 1 to 30", id="no time"),
        pytest.param('[index.a]\nprogram = "x"\nunit = "miles"\n', "the string 'miles'", '"percent"', id="an odd unit"),
        pytest.param('[index.a]\nprogram = "x"\nbusy_above = nan\n', "nan", "a number from", id="a threshold that is none"),
        pytest.param('[index.a]\nprogram = "x"\nbusy_above = 1\nbusy_below = 2\n', "every node is busy", "less than", id="thresholds that cross"),
        pytest.param('[index.a]\nprogramm = "x"\n', "unknown key `index.a.programm`", "index.a.program", id="a mistyped key"),
        pytest.param('[index.a]\nprogram = "x"\narguments = ["a\\nb"]\n', "an array with", "array of strings", id="an argument of two lines"),
        pytest.param('[check.a]\nunit = "percent"\nprogram = "x"\n', "unknown key `check.a.unit`", "`arguments`", id="a key of the other table"),
        pytest.param('[check.a]\n', "has no `program` or `node_program`", "give one", id="a check without a program"),
        pytest.param('[plugins]\nfilters = "a"\n', "`plugins.filters` is the string 'a'", "array", id="filters that are no array"),
        pytest.param('[plugins]\nscorers = { a = 0 }\n', "a table where a is 0", "weights above 0", id="a weight of nothing"),
        pytest.param('[plugins]\nprobes = ["a"]\n', "unknown key `plugins.probes`", "`filters`", id="probes belong to indices"),
    ],
)  # fmt: skip
def test_a_bad_table_is_told_with_its_place_and_what_would_do(place: Place, text: str, message: str, hint: str) -> None:
    file = place.write(place.project, text)
    with pytest.raises(SettingsError) as caught:
        place.load()
    assert caught.value.message.startswith(f"{file}: ")
    assert message in caught.value.message
    assert hint in caught.value.hint
