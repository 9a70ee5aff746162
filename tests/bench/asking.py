"""Asks a question of ours and of its peers, in turn, and makes the figures."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from clbalance.lab.cluster import Lab

from .figure import Figure, Run, Skipped, Spread, ratio_figure
from .programs import BOUND
from .question import Peer, Question
from .site import Place, Site, WrongRunError, timed

OURS = "clbalance"
Round = Mapping[str, Run]
"""By program."""


def answers(question: Question, site: Site, lab: Lab | None) -> Iterator[Figure | Skipped]:
    """A figure for each peer that is here and could be asked, and the reason for each other one."""
    place = Place(site, site.folder / question.name, lab)
    place.folder.mkdir()
    with ExitStack() as stack:
        if question.around is not None:
            stack.enter_context(question.around(place))
        asking = _Asking(question, place, skipped={})
        peers = [peer for peer in question.peers if asking.prepare(peer, stack)]
        rounds = min(site.rounds, question.rounds or site.rounds)
        told: list[Round] = []
        if peers:  # otherwise there is nothing to compare
            asking.round(peers, at=0)  # the first does not count
            told = [asking.round(peers, at=at) for at in range(1, rounds + 1)]
    yield from figures(question, told)
    for program, reason in asking.skipped.items():
        yield Skipped(name=question.name, peer=program, reason=site.told(reason))


@dataclass(frozen=True, slots=True)
class _Asking:
    question: Question
    place: Place
    skipped: dict[str, str]

    def prepare(self, peer: Peer, stack: ExitStack) -> bool:
        """Whether it can be asked; otherwise the reason is kept."""
        missing = self.place.site.programs.missing
        if peer.program in missing:
            self.skipped[peer.program] = missing[peer.program]
            return False
        try:
            if peer.around is not None:
                stack.enter_context(peer.around(self.place))
        except WrongRunError as wrong:
            self.skipped[peer.program] = str(wrong)
            return False
        return True

    def round(self, peers: Sequence[Peer], *, at: int) -> Round:
        """Each is asked once; every second time in the opposite order, so that nobody always follows the same one."""
        told: dict[str, Run] = {}
        for peer in [None, *peers] if at % 2 else [*reversed(peers), None]:
            if peer is None:
                told[OURS] = self._ours()
            elif asked_in(peer, at) and peer.program not in self.skipped:
                try:
                    told[peer.program] = self._theirs(peer)
                except WrongRunError as wrong:
                    self.skipped[peer.program] = str(wrong)
        return told

    def _ours(self) -> Run:
        question, place = self.question, self.place
        self._before()
        env = place.environment(question.environment)
        with tempfile.TemporaryFile() as output:
            wanted = output if question.seconds else None
            run = timed(place.words(question.ours), env, processor=place.site.processor, output=wanted)
            if question.seconds is None:
                return run
            output.seek(0)
            return replace(run, wall_s=question.seconds(output.read()))

    def _theirs(self, peer: Peer) -> Run:
        if peer.seconds is not None:
            return Run(wall_s=peer.seconds, cpu_s=0.0)
        self._before()
        env = self.place.environment(self.question.environment, peer.environment)
        return timed(self.place.words(peer.command), env, processor=self.place.site.processor)

    def _before(self) -> None:
        if self.question.before is not None:
            self.question.before(self.place)


def asked_in(peer: Peer, at: int) -> bool:
    """Whether this peer is asked in this round; in round 0 nothing counts yet."""
    return peer.rounds is None or 0 < at <= peer.rounds


def figures(question: Question, rounds: Sequence[Round]) -> Iterator[Figure]:
    """One for each peer, of the rounds in which it was asked. Pure."""
    for peer in question.peers:
        pairs = [(told[OURS], told[peer.program]) for told in rounds if peer.program in told]
        if pairs:
            note = "" if question.amount is None or peer.program == BOUND else _rates(*question.amount, pairs)
            yield ratio_figure(question.name, peer.program, pairs, limit=peer.limit, note=note)


def _rates(amount: float, unit: str, pairs: Sequence[tuple[Run, Run]]) -> str:
    ours, theirs = (amount / Spread.of([pair[which].wall_s for pair in pairs]).median for which in (0, 1))
    return f"{ours:.0f} {unit} a second, against {theirs:.0f}"
