"""The sections of a check-up as a `Checkup`; whatever a node sends, this gives one. Pure."""

from collections.abc import Mapping

from clbalance.checkup import Checkup, NodeFolders
from clbalance.model import Unknown
from clbalance.probe.bounded import whole
from clbalance.probe.folder import parse_folder
from clbalance.probe.frame import Section
from clbalance.probe.logind import parse_logind
from clbalance.probe.python_version import parse_python_version
from clbalance.probe.sshd_limits import parse_sshd_limits

_MOST_UID = 2**32


def parse_checkup(sections: Mapping[str, Section]) -> Checkup:
    """Each part from its own sections, unknown where those are missing, cut or senseless."""
    return Checkup(
        uid=_uid(sections.get("uid")),
        folders=NodeFolders(
            named=parse_folder(sections.get("named")),
            made=parse_folder(sections.get("made")),
            usual=parse_folder(sections.get("usual")),
        ),
        python=parse_python_version(sections.get("python")),
        logind=parse_logind(sections.get("logind"), sections.get("logind_conf")),
        sshd=parse_sshd_limits(sections.get("sshd_told"), sections.get("sshd_conf")),
    )


def _uid(section: Section | None) -> int | Unknown:
    uid = None if section is None else whole(section.text.strip("\n"), most=_MOST_UID)
    return Unknown(why="`id` did not tell the uid") if uid is None else uid
