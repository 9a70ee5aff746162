"""`who`: a line for each terminal that somebody is logged in on, with the user's name first."""

from clbalance.model import Unknown
from clbalance.probe.frame import Section


def parse_logins(section: Section) -> int | Unknown:
    """How many different users are logged in on a terminal."""
    match section.status:
        case "0":
            return len({line.split()[0] for line in section.text.split("\n") if line.strip()})
        case "absent":
            return Unknown(why="no record of logins (utmp)")
        case None:
            return Unknown(why="timed out")
        case status:
            return Unknown(why=f"`who` failed with {status}")
