"""The man pages: groff has nothing to say of them, and they have what `--help`, the settings and the language have."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from clbalance.cli.verbs import VERBS
from clbalance.policy.expressions.facts import FACTS
from clbalance.settings.keys import GROUP_KEYS, KEYS, NODE_KEYS, VARIABLES
from man_pages.documents import document_section
from man_pages.pages import write_pages
from tests.cli.command import Command
from tests.cli.conftest import alone, folder  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "design"
PLAYBOOKS = ROOT / "playbooks"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all pages."""
    made = tmp_path_factory.mktemp("pages")
    write_pages(made, PAGES)
    return made


def shown(page: Path) -> str:
    """A page as a terminal shows it, with single spaces; groff must not complain."""
    if shutil.which("groff") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("groff is missing: `scripts/setup test` installs it", pytrace=False)
        pytest.skip("groff is missing")
    call = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "-rHY=0", "-rLL=300n", str(page)]
    done = subprocess.run(call, capture_output=True, timeout=60, check=True, encoding="utf-8")
    assert done.stderr == ""
    return " ".join(done.stdout.split())


def test_there_is_one_for_the_program_one_for_each_verb_one_for_settings_and_one_for_expressions(pages: Path) -> None:
    verbs = {f"clbalance-{verb}.1" for verb in VERBS}
    assert {page.name for page in pages.iterdir()} == {
        "clbalance.1", "clbalance.toml.5", "clbalance-expressions.7", *verbs
    }  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_a_verb_has_every_word_of_its_help(pages: Path, alone: Command, verb: str) -> None:  # noqa: F811
    page = words_of(shown(pages / f"clbalance-{verb}.1"))
    told = alone(verb, "--help", env={"COLUMNS": "100"}).text
    inner = re.findall(r"^  (\w+)", told.partition("\nCommands:\n")[2], re.MULTILINE)
    for name in inner:
        told += alone(verb, name, "--help", env={"COLUMNS": "100"}).text
    titles = {"Usage", "Arguments", "Options", "Commands"}
    assert words_of(re.sub(r"(?s)\nCommands:\n.*?(?=Usage:|$)", "\n", told)) - titles <= page


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[\w-]*\w", text))


def test_the_page_of_the_program_names_each_verb_and_exit_code(pages: Path) -> None:
    page = shown(pages / "clbalance.1")
    assert [verb for verb, (_, line) in VERBS.items() if f"clbalance-{verb}(1) {line}" not in page] == []
    for text in ("124 --time-limit ended it", "75 another run holds the lock", "CLBALANCE_JOB_ID"):
        assert text in page


def test_the_page_of_settings_has_every_key_with_what_it_takes_and_every_variable(pages: Path) -> None:
    page = shown(pages / "clbalance.toml.5")
    kinds = {
        **KEYS,
        **{f"nodes[].{key}": kind for key, kind in NODE_KEYS.items()},
        **{f"groups[].{key}": kind for key, kind in GROUP_KEYS.items()},
    }
    told = {key: " ".join(kind.expected.replace("`", "").split()) for key, kind in kinds.items()}
    assert [key for key, text in told.items() if f"{key} {text}" not in page] == []
    assert [name for name, key in VARIABLES.items() if f"{name} sets {key}" not in page] == []


def test_the_page_of_expressions_has_every_name(pages: Path) -> None:
    assert set(FACTS) - words_of(shown(pages / "clbalance-expressions.7")) == set()


def test_text_that_looks_like_a_macro_is_text_and_references_to_design_pages_are_left_out(tmp_path: Path) -> None:
    document = tmp_path / "document"
    document.write_text(
        "# T\n\n## S\n\n.PP is no macro, nor is\n'so, and `\\fI` is *no* font.\n\n    .ft B\n\n## Z\n\nz\n"
    )
    page = tmp_path / "page.7"
    page.write_text(f'.TH T 7 "2026-01-01"\n.SH NAME\nt \\- u\n.SH S\n{document_section(document, "S")}\n')
    assert ".PP is no macro, nor is 'so, and \\fI is no font. .ft B" in shown(page)
    document.write_text(
        "# T\n\n## S\n\nThis ([nodes.md](nodes.md)) and that (docs/design/gpus.md).\n\n    x = 1  # so (docs/glossary.md)\n"
    )
    assert document_section(document, "S") == ".PP\nThis and that.\n.PP\n.RS 4\n.nf\nx = 1  # so\n.fi\n.RE"
    with pytest.raises(LookupError):
        document_section(document, "Y")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a wheel holds."""
    made = tmp_path_factory.mktemp("wheel")
    call = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(call, cwd=ROOT, capture_output=True, timeout=120, check=True)
    (wheel,) = made.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_has_the_pages_and_the_completions_where_programs_look_for_them(packed: set[str]) -> None:
    inside = {name.partition(".data/data/")[2] for name in packed if ".data/data/" in name}
    assert inside >= {
        "share/man/man1/clbalance.1",
        "share/man/man5/clbalance.toml.5",
        "share/man/man7/clbalance-expressions.7",
        "share/bash-completion/completions/clbalance",
        "share/fish/vendor_completions.d/clbalance.fish",
        "share/zsh/site-functions/_clbalance",
        *(f"share/man/man1/clbalance-{verb}.1" for verb in VERBS),
    }
    assert not any("man_pages" in name for name in packed)


def test_a_wheel_has_the_playbooks_where_the_program_finds_them_by_name(packed: set[str]) -> None:
    shipped = {f"clbalance/playbooks/{one.relative_to(PLAYBOOKS)}" for one in PLAYBOOKS.rglob("*") if one.is_file()}
    assert shipped
    assert {name for name in packed if name.startswith("clbalance/playbooks/")} == shipped


def test_the_pages_are_made_with_the_parser_of_options_that_the_program_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    assert {one for one in hook["dependencies"] if one.startswith("typer")} <= set(project["project"]["dependencies"])
