"""The site's own programs in probes: what is asked for, and what came of it (docs/design/plugins.md)."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.plugins import NodeProgram, SitePrograms, SiteReading
from clbalance.probe.frame import Section
from clbalance.probe.site_programs import section_of
from clbalance.probe.site_reading import hung_sections, parse_site
from clbalance.units import counted

_FIRST_PAUSE_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class HungProgram:
    """A program that did not end in time on a node: when last, in seconds since 1970, and how often in a row."""

    at_s: float
    times: int

    @property
    def pause_s(self) -> float:
        """So long it is left alone there: it would hold up every probe. Twice as long each time."""
        return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self.times - 1, 10))


Where: TypeAlias = tuple[str, str]
"""A node, and the key of a program."""


class HungPrograms(Protocol):
    """Remembers which programs did not end in time, and where."""

    def known(self) -> Mapping[Where, HungProgram]:
        """All of them."""
        ...

    def change(self, changed: Mapping[Where, HungProgram | None]) -> None:
        """Remember these, and forget those that are None. It is no error if that cannot be kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteProbe:
    """The programs, the probe's script with them, and those that hung."""

    site: SitePrograms
    script: Callable[..., str]
    """The probe's script with them, for the arguments of `node.probe_script`."""
    hung: HungPrograms

    def sections(self, node: NodeName, now_s: float) -> str:
        """The sections to ask this node for. A program that hung there a short while ago is left out."""
        return " ".join(section for section in self._keys() if not self._why_paused(node, section, now_s))

    def all_sections(self) -> str:
        """The sections of all programs."""
        return " ".join(self._keys())

    def read(self, node: NodeName, sections: Mapping[str, Section], now_s: float) -> SiteReading:
        """What the programs of this node said."""
        paused = {section: reason for section in self._keys() if (reason := self._why_paused(node, section, now_s))}
        return parse_site(sections, self.site, paused)

    def remember(self, sections: Mapping[NodeName, Mapping[str, Section]], now_s: float) -> None:
        """Remember the programs that did not end in time, and forget those that did."""
        known = self.hung.known()
        changed: dict[Where, HungProgram | None] = {}
        for node, told in sections.items():
            hung = hung_sections(told, self.site)
            for section, key in self._keys().items():
                before = known.get((node, key))
                if section in hung:
                    changed[node, key] = HungProgram(now_s, 1 if before is None else before.times + 1)
                elif section in told and before is not None:
                    changed[node, key] = None
        if changed:
            self.hung.change(changed)

    def _keys(self) -> Mapping[str, str]:
        return _keys_of(self.site)

    def _why_paused(self, node: NodeName, section: str, now_s: float) -> str:
        """Why the program is not run there now; empty: it is."""
        hung = self.hung.known().get((node, self._keys()[section]))
        if hung is None or not 0.0 <= now_s - hung.at_s < hung.pause_s:
            return ""
        ago, again = counted(round(now_s - hung.at_s), "second"), counted(round(hung.pause_s), "second")
        return f"did not end in time {ago} ago, and is not run again for {again} since"


@lru_cache(maxsize=8)
def _keys_of(site: SitePrograms) -> Mapping[str, str]:
    """The section of each program, with its key."""
    return {section_of(at): _key(one) for at, one in enumerate(site.programs)}


def _key(program: NodeProgram) -> str:
    """The same for the same program with the same limit: who mends it need not wait."""
    said = (program.text, program.path, *program.arguments, str(program.timeout_s))
    return sha256("\0".join(said).encode()).hexdigest()[:16]
