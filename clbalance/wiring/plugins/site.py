"""From the settings to the site's own programs that a probe runs: their texts are read, and all is checked."""

import math
import os
from functools import partial
from pathlib import Path

from clbalance.engine.site_probe import SiteProbe
from clbalance.errors import SettingsError, StoreError
from clbalance.model.plugins import ExternalIndex, ExternalUnit, IndexSource, NodeProgram, SitePrograms
from clbalance.node import probe_script
from clbalance.policy.expressions.facts import RESERVED
from clbalance.probe.site_programs import MOST_PROGRAMS, MOST_TEXT_BYTES, site_script, why_not_sent
from clbalance.settings.trusted_file import read_trusted
from clbalance.settings.values import IndexSettings, ProgramSettings, Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.wiring.plugins.entry_points import program_text
from clbalance.wiring.plugins.hung_programs import FILE, HungProgramsFile


def site_probe(settings: Settings) -> SiteProbe | None:
    """The programs in each probe; None: there are none. `SettingsError` for one that cannot be used."""
    site = site_programs(settings)
    if not site.programs:
        return None
    script = site_script(site.programs)
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        folder = Path(os.devnull)  # nothing is remembered; opening the store warns about it
    return SiteProbe(
        site=site,
        script=partial(probe_script, programs=script.functions, limits=script.limits),
        hung=HungProgramsFile(folder / FILE),
    )


def external_index(one: IndexSettings) -> ExternalIndex:
    """The index, without where it comes from."""
    return ExternalIndex(
        name=one.name,
        unit=ExternalUnit(one.unit),
        help=one.help,
        busy_above=one.busy_above,
        busy_below=one.busy_below,
        has_column=one.has_column,
    )


def external_indices(settings: Settings) -> tuple[ExternalIndex, ...]:
    """The indices of the settings; `SettingsError` for a name that is taken."""
    for one in settings.plugins.indices.values():
        _check_name(one, settings)
    return tuple(map(external_index, settings.plugins.indices.values()))


def _check_name(one: IndexSettings, settings: Settings) -> None:
    if one.name in RESERVED:
        raise SettingsError(
            f"{one.place}: `{one.name}` is a word of `--where`", hint=f"another name, such as `site_{one.name}`"
        )
    for facts in settings.nodes:
        if one.name in facts.labels:
            raise SettingsError(
                f"{one.place}: `{one.name}` is a label of `{facts.node_set}` as well", hint="name one of them otherwise"
            )


def site_programs(settings: Settings) -> SitePrograms:
    """All programs, each once, and what is read from them. Their texts are read here."""
    found: dict[NodeProgram, int] = {}
    checks = []
    for check in settings.plugins.checks.values():
        program = _program(check.place, f"check {check.name}", check.program, settings)
        checks.append((check.name, found.setdefault(program, len(found))))
    external_indices(settings)
    of_checks = dict(checks)
    indices = []
    for one in settings.plugins.indices.values():
        if one.check:
            if one.check not in of_checks:
                raise SettingsError(f"{one.place}: there is no `[check.{one.check}]`", hint=_known_checks(settings))
            at = of_checks[one.check]
        else:
            at = found.setdefault(_program_of(one, settings), len(found))
        indices.append(IndexSource(index=external_index(one), program=at, field=one.field, is_perfdata=bool(one.check)))
    if len(found) > MOST_PROGRAMS:
        raise SettingsError(
            f"there are {len(found)} programs for each probe, and at most {MOST_PROGRAMS} can be",
            hint="one program can print several indices",
        )
    return SitePrograms(programs=tuple(found), indices=tuple(indices), checks=tuple(checks))


def _known_checks(settings: Settings) -> str:
    return ", ".join(f"`[check.{name}]`" for name in settings.plugins.checks) or "there is no `[check.NAME]` at all"


def _program_of(one: IndexSettings, settings: Settings) -> NodeProgram:
    if one.program is not None:
        return _program(one.place, _name(one, settings), one.program, settings)
    text = program_text(one.probe, one.place)
    if refused := why_not_sent(text):
        raise SettingsError(f"{one.place}: the program of the entry point `{one.probe}`: {refused}")
    return NodeProgram(name=f"probe {one.probe}", text=text, timeout_s=_timeout_s(one.timeout_s, settings))


def _name(one: IndexSettings, settings: Settings) -> str:
    """The same for all indices of one program: that of the first."""
    first = next(other for other in settings.plugins.indices.values() if other.program == one.program)
    return f"index {first.name}"


def _program(place: str, name: str, one: ProgramSettings, settings: Settings) -> NodeProgram:
    text = _text(place, one.here) if one.here else ""
    return NodeProgram(
        name=name,
        text=text,
        path=one.there,
        arguments=one.arguments,
        timeout_s=_timeout_s(one.timeout_s, settings),
    )


def _timeout_s(configured: int, settings: Settings) -> int:
    """A second less than the whole answer has, at most: else a program that hangs would make the node silent."""
    return min(configured, max(1, math.ceil(settings.ssh.probe_timeout_s) - 1))


def _text(place: str, path: str) -> str:
    """The text of a program here. It runs as us on every node, so nobody else may be able to write it."""
    try:
        text = read_trusted(Path(path), MOST_TEXT_BYTES).decode()
    except OSError as error:
        said = f"{place}: `program`: {path}: {error.strerror}"
        raise SettingsError(said, hint="the path begins at the folder of that file") from error
    except UnicodeDecodeError:
        raise SettingsError(
            f"{place}: `program`: {path} is not text",
            hint="a compiled program must lie on the nodes: `node_program`",
        ) from None
    if refused := why_not_sent(text):
        raise SettingsError(
            f"{place}: `program`: {path}: {refused}", hint="or give the path on the nodes: `node_program`"
        )
    return text
