"""`drain`: `{"v":1, "reason":"disk", "by":"alice", "at":1764000000, "until":null}`, seconds since the epoch.

`drain-KEY` is the same; with `asked_at` in it, a proposal.
"""

from datetime import UTC, datetime

from clbalance.model import DrainMark, Proposal, Unknown
from clbalance.probe.claim import Claim, NotAClaimError, number, parse_claim, words
from clbalance.probe.marks import Mark, Marks

_MOST_REASON = 200
_MOST_BY = 40
_MOST_S = 253_402_300_799.0  # the last second of the year 9999, where datetime ends


def parse_drains(found: Marks | Unknown) -> tuple[DrainMark, ...] | Unknown:
    """Every drain mark, whomever it binds; whether one has expired is for the clock to say."""
    if isinstance(found, Unknown):
        return found
    return tuple(_drain(mark, _binds_all(mark.uid, found)) for mark in found.marks if mark.name.startswith("drain"))


def _binds_all(uid: int, found: Marks) -> bool:
    """Whether its owner is root, or one of the administrators whom root has listed."""
    named = {line.strip() for line in found.admins}
    return uid == 0 or (uid in found.names and found.names[uid] in named)


def _drain(mark: Mark, binds_all: bool) -> DrainMark:
    try:
        claim = parse_claim(mark.text)
        return DrainMark(
            uid=mark.uid,
            by=words(claim, "by", most=_MOST_BY),
            reason=words(claim, "reason", most=_MOST_REASON),
            at=_instant(claim, "at"),
            until=None if claim.get("until") is None else _instant(claim, "until"),
            binds_all=binds_all,
            proposal=_proposal(claim, mark.name),
        )
    except NotAClaimError:
        return DrainMark(uid=mark.uid, by="", reason="unreadable", at=None, until=None, binds_all=binds_all)


def _proposal(claim: Claim, name: str) -> Proposal | None:
    """The key is the name's, which nobody but the owner can have given it."""
    _, _, key = name.partition("-")
    return Proposal(at=_instant(claim, "asked_at"), key=key) if key and claim.get("asked_at") is not None else None


def _instant(claim: Claim, key: str) -> datetime:
    return datetime.fromtimestamp(number(claim, key, most=_MOST_S), UTC)
