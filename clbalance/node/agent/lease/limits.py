"""The limits that root has set for users and groups of a node: their text, and what keeps a job out. Pure.

The client reads a node's text with the same functions, so that both understand the same. docs/design/fair-share.md
describes the format.
"""

MYPY = False
if MYPY:
    from typing import Any, Iterator

NAMES = ("MaxJobs", "MaxCpus", "MaxGpus", "MaxMem", "MaxWall")
BY_WORD = {name.lower(): name for name in NAMES}
SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EXPECTED = {
    "MaxJobs": "a whole number",
    "MaxMem": "a size such as 64G",
    "MaxWall": "a time such as 12h, 7d or 1-12:00:00",
}
OPTIONS = {"MaxCpus": "--cpus", "MaxMem": "--mem", "MaxWall": "--time-limit"}
ROUNDING = 1e-9  # of sums of fractions
JOBS_NAMED = 3  # of one owner, in a refusal


class LimitsError(Exception):
    """The text is wrong; the message says in which line."""


class Limit:
    """`name` is at most `most` (None: no limit), as `text` says in line `line`.

    `user`: of that user, or with `@` of each member of a group; empty: of each user. `group`: of all its members
    together; empty: each user is counted alone. `nodes`: on all of this node set together; empty: on this node.
    """

    __slots__ = ("group", "line", "most", "name", "nodes", "text", "user")

    def __init__(self, line: int, name: str, text: str, user: str, group: str, nodes: str) -> None:
        self.line = line
        self.name = name
        self.text = text
        self.most = amount_of(name, text)
        self.user = user
        self.group = group
        self.nodes = nodes

    @property
    def whose(self) -> str:
        if self.group:
            return "group %s" % self.group
        where = " over %s" % self.nodes if self.nodes else ""
        if self.user.startswith("@"):
            return "each user of group %s%s" % (self.user[1:], where)
        return "%s%s" % ("user %s" % self.user if self.user else "each user", where)

    @property
    def named_group(self) -> str:
        return self.group or (self.user[1:] if self.user.startswith("@") else "")


def parse_limits(text: str) -> "list[Limit]":
    """All limits of a text. `LimitsError` at the first line that is wrong."""
    if not text.endswith("\n"):
        raise LimitsError("it is empty, or its last line does not end: it may have been cut off")
    lines: "dict[tuple[str, str], int]" = {}
    limits: "list[Limit]" = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        try:
            for limit in limits_in(number, words) if words else ():
                first = lines.get((limit.name, limit.whose))
                if first is not None:
                    raise LimitsError("%s of %s was set in line %d before" % (limit.name, limit.whose, first))
                lines[limit.name, limit.whose] = number
                limits.append(limit)
        except LimitsError as error:
            raise LimitsError("line %d: %s" % (number, error)) from None
    return limits


def limits_in(number: int, words: "list[str]") -> "Iterator[Limit]":
    """The limits of one line: `Default`, `User=a,b` or `Group=a,b`, perhaps `Nodes=SET`, then `MaxJobs=2` and so on.

    One by one, so that a line that repeats itself is refused before it takes much memory.
    """
    kind, _, names = words[0].partition("=")
    owners = names.split(",")
    kind = kind.lower()
    if words[0].lower() == "default":
        subjects = [("", "")]
    elif kind == "user" and all(owner.strip("@") and owner.isprintable() for owner in owners):
        subjects = [(owner, "") for owner in owners]
    elif kind == "group" and all(owner and owner[0] != "@" and owner.isprintable() for owner in owners):
        subjects = [("", owner) for owner in owners]
    else:
        raise LimitsError("%.40r: begin with `Default`, `User=NAME`, `User=@GROUP` or `Group=NAME`" % words[0])
    found = False
    nodes = ""
    for word in words[1:]:
        name, equals, text = word.partition("=")
        if name.lower() == "nodes" and text.isprintable() and text and not nodes and not found:
            nodes = text
            continue
        if nodes and (kind == "group" or name.lower() == "maxwall"):
            raise LimitsError("%.40r: groups together, and MaxWall, have no limit over `Nodes=`" % word)
        if not equals or name.lower() not in BY_WORD:
            raise LimitsError("%.40r: the limits are %s, each with `=` and a value" % (word, ", ".join(NAMES)))
        found = True
        for user, group in subjects:
            yield Limit(number, BY_WORD[name.lower()], text, user, group, nodes)
    if not found:
        raise LimitsError("no limit: %s, each with `=` and a value" % ", ".join(NAMES))


def amount_of(name: str, text: str) -> "float | None":
    """The number that the text stands for: bytes of memory, seconds of time; None: no limit."""
    if text.lower() == "unlimited":
        return None
    try:
        if name == "MaxWall":
            return seconds_of(text)
        if name == "MaxMem":
            return number_of(text[:-1]) * SIZES[text[-1:].upper()]
        return whole(text) if name == "MaxJobs" else number_of(text)
    except (ValueError, KeyError):
        what = EXPECTED.get(name, "a number")
        raise LimitsError("%s needs %s, or `unlimited`, not %.40r" % (name, what, text)) from None


def number_of(text: str) -> float:
    """A number as people write it, without sign or exponent. May raise `ValueError`."""
    before, point, after = text.partition(".")
    if len(text) > 12 or (point and not after):
        raise ValueError
    whole(before)
    return float(text) if not point or whole(after) >= 0 else 0.0


def whole(text: str) -> int:
    if not text or len(text) > 12 or text.strip("0123456789"):
        raise ValueError
    return int(text)


def seconds_of(text: str) -> float:
    """Of `90m`, `12h`, `1.5d`, `HH:MM:SS` or `D-HH:MM:SS`. May raise `ValueError` or `KeyError`."""
    if ":" not in text:
        return number_of(text[:-1]) * SECONDS[text[-1:]]
    days, dash, clock = text.rpartition("-")
    hours, minutes, seconds = [whole(part) for part in clock.split(":")]
    return ((whole(days) if dash else 0) * 24 + hours) * 3600 + minutes * 60 + seconds


def limits_for(limits: "list[Limit]", users: "set[str]", groups: "set[str]") -> "list[Limit]":
    """Those that apply to a user with these `users` (his name and his uid) who is a member of `groups`.

    Of the limits for himself the closest counts: his own, then the lowest of his groups' (`@`), then the default.
    Those of groups together all count.
    """
    closest: "dict[tuple[str, str], tuple[int, float, Limit]]" = {}
    together = []
    for limit in limits:
        if limit.group:
            if limit.group in groups:
                together.append(limit)
            continue
        if not limit.user:
            closeness = 0
        elif limit.user in users:
            closeness = 2
        elif limit.named_group in groups:
            closeness = 1
        else:
            continue
        found = (closeness, float("-inf") if limit.most is None else -limit.most, limit)
        thing = limit.name, limit.nodes
        if thing not in closest or found[:2] > closest[thing][:2]:
            closest[thing] = found
    chosen = [limit for _, _, limit in closest.values()] + together
    return sorted((limit for limit in chosen if limit.most is not None), key=lambda limit: NAMES.index(limit.name))


class Held:
    """What a job has, or asks for, of each limited thing; `time_limit_s` None: without end."""

    def __init__(
        self, uid: int, name: str, cpus: float, gpus: float, mem_bytes: int, time_limit_s: "float | None" = None
    ) -> None:
        self.uid = uid
        self.name = name
        self.amounts: "dict[str, float | None]" = {
            "MaxJobs": 1,
            "MaxCpus": cpus,
            "MaxGpus": gpus,
            "MaxMem": mem_bytes,
            "MaxWall": time_limit_s,
        }


def excess(limit: Limit, asked: Held, held: "list[Held]") -> str:
    """Why the limit keeps the job out; empty if it does not. `held`: the running jobs that it counts."""
    most: "Any" = limit.most
    wanted = asked.amounts[limit.name]
    said = "%s=%s of %s" % (limit.name, limit.text, limit.whose)
    if not wanted and limit.name in OPTIONS:  # what counts for nothing would pass any limit
        return "%s: the job does not say what it needs: give `%s`" % (said, OPTIONS[limit.name])
    used = 0.0 if limit.name == "MaxWall" else sum([one.amounts[limit.name] or 0 for one in held])
    sizes = shown_amount(limit.name, wanted or 0), shown_amount(limit.name, used)
    if (wanted or 0) > most + ROUNDING:
        return "%s: %s requested, which is more than any job may have" % (said, sizes[0])
    if used + (wanted or 0) > most + ROUNDING:
        return "%s: %s requested, %s in use until these jobs end" % (said, *sizes)
    return ""


def shares_in(limit: Limit, held: "list[Held]") -> "dict[int, str]":
    """By uid, how much of the limit each owner has in use, and by which jobs."""
    shares = {}
    for uid in {one.uid for one in held}:
        own = [one for one in held if one.uid == uid and one.amounts[limit.name]]
        if own:
            names = sorted(one.name or "unnamed" for one in own)[:JOBS_NAMED] + ["..."] * (len(own) > JOBS_NAMED)
            used = sum([one.amounts[limit.name] or 0 for one in own])
            shares[uid] = "%s (%s)" % (shown_amount(limit.name, used), ", ".join(names))
    return shares


def shown_amount(name: str, amount: float) -> str:
    if name == "MaxMem":
        return "%.4g GiB" % (amount / (1 << 30))
    if name == "MaxWall":
        return "%d:%02d:%02d" % (amount // 3600, amount // 60 % 60, amount % 60)
    return "%g" % amount
