"""Paths of `copy` and `fetch` with variables: filled in as whole parts, or refused before anything runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.playbook import CopyFiles, FetchFiles
from clbalance.playbook.load import load_playbook
from clbalance.playbook.paths import BadPath, filled_path

from .build import read, refused

VALUES = {"root": "/srv/app", "name": "app-1.4", "deep": "a/b", "slash": "app/", "top": "/"}
COPY = "vars: {root: /srv/app, name: %s}\nsteps: [{copy: {src: '{{ vars.name }}/', dest: '{{ vars.root }}/new/'}}]"


@pytest.mark.parametrize(
    ("path", "filled"),
    [
        ("{{ vars.root }}", "/srv/app"),
        ("{{vars.root}}/releases/{{ vars.name }}/", "/srv/app/releases/app-1.4/"),
        ("lists/{{ vars.deep }}/x", "lists/a/b/x"),
        ("{{ vars.slash }}", "app"),
        ("{{ vars.slash }}/", "app/"),
        ("{{ vars.top }}", "/"),
        ("{{ vars.top }}/etc", "/etc"),
        ("kept/{{ vars.root }}/x", "kept/srv/app/x"),
        ("kept/{{ vars.top }}/x", "kept//x"),
        ("without/any", "without/any"),
        ("a{{b", "a{{b"),
    ],
)
def test_a_variable_stands_for_whole_parts_of_a_path(path: str, filled: str) -> None:
    assert filled_path(path, VALUES) == filled


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "the path is empty"),
        ("  ", "the path is empty"),
        ("{{ vars.root }}.old", "`{{ vars.root }}.old` is not possible here"),
        ("/srv/{{ vars.name }}-x/y", "`{{ vars.name }}-x` is not possible here"),
        ("{{ a/b }}", "`{{ a` is not possible here"),
        ("{{ name }}", "`{{ name }}` is not possible here"),
        ("{{ vars.rot }}", "the variable `rot` is not set"),
    ],
)
def test_other_places_of_a_variable_are_refused(path: str, message: str) -> None:
    found = filled_path(path, VALUES)
    assert isinstance(found, BadPath)
    assert found.message == message


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "it is empty"),
        (" ", "it is empty"),
        ("..", "it has `..` as a part"),
        ("a/../../etc", "it has `..` as a part"),
        ("a\nb", "it has a newline, or another control character"),
        ("\x1b]0;x", "it has a newline, or another control character"),
    ],
)
def test_a_value_that_could_lead_elsewhere_is_refused(value: str, fault: str) -> None:
    for path in ("{{ vars.it }}", "{{ vars.it }}/x", "/srv/{{ vars.it }}"):
        found = filled_path(path, {"it": value})
        assert isinstance(found, BadPath)
        assert found.message == f"the variable `it` is no path here: {fault}"


@given(st.text(alphabet="ab./{} \n", max_size=12))
def test_no_value_leads_out_of_the_folder_that_the_playbook_names(value: str) -> None:
    found = filled_path("/srv/{{ vars.it }}/x", {"it": value})
    if isinstance(found, str):
        assert found.startswith("/srv/")
        assert found.endswith("/x")
        assert ".." not in found.split("/")


def test_copy_and_fetch_take_the_values_of_variables() -> None:
    assert read(COPY % "app").steps[0].action == CopyFiles(sources=("app/",), destination="/srv/app/new/")
    assert read(COPY % "app", name="/home/me/x").steps[0].action == CopyFiles(
        sources=("/home/me/x/",), destination="/srv/app/new/"
    )
    fetch = "vars: {log: a.log}\nsteps: [{fetch: {src: ['/var/log/{{ vars.log }}'], dest: 'logs/{{ vars.log }}'}}]"
    assert read(fetch).steps[0].action == FetchFiles(sources=("/var/log/a.log",), folder="logs/a.log")


def test_what_is_wrong_is_told_with_its_place() -> None:
    assert refused(COPY % "..") == (
        "p.yml:2:22: steps[0].copy.src: the variable `name` is no path here: it has `..` as a part",
        "`-e name=PATH`",
    )
    assert "steps[0].copy.dest: `{{ x }}` is not" in refused("steps: [{copy: {src: a, dest: '{{ x }}'}}]")[0]


def test_a_variable_without_a_value_must_be_given_before_anything_runs() -> None:
    message, hint = refused(COPY % "")
    assert message == "p.yml:1:24: vars.name: it has no value, and must be given"
    assert hint == "`-e name=VALUE`"
    assert read(COPY % "", name="app").missing == frozenset()
    looked_at = load_playbook((COPY % "").encode(), "p.yml")
    assert looked_at.missing == {"name"}
    assert looked_at.steps[0].action == CopyFiles(sources=("{{ vars.name }}/",), destination="/srv/app/new/")


def test_a_step_that_variables_rule_out_is_known_and_its_paths_are_not_judged() -> None:
    text = (
        "vars: {source: ''}\n"
        "steps: [{copy: {src: '{{ vars.source }}', dest: x}, when: vars.source != ''},"
        " {run: a, register: r}, {run: b, when: r.rc = 0}, {run: c, when: r1m < 1 or vars.source = ''}]"
    )
    assert [step.is_ruled_out for step in read(text).steps] == [True, False, False, False]
    assert [step.is_ruled_out for step in read(text, source="a").steps] == [False, False, False, False]
