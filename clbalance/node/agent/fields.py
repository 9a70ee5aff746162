"""The fields of requests and of JSON files on the node, with their kinds and defaults, and their check."""

from clbalance.node.agent.protocol import LINE_BYTES, MisfitError
from clbalance.node.stdlib import loads

MYPY = False
if MYPY:
    from typing import Any


REQUIRED = object()
DIGITS = "0123456789"
HEXADECIMAL = "0123456789abcdef"


class Count:
    """The kind of whole numbers from 0."""


KINDS = {
    str: "text",
    int: "a whole number",
    Count: "a whole number, 0 or more",
    float: "a number, 0 or more",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}

# By name: the kind and the default. A field whose default is None may also be null.
REQUESTS: "dict[str, dict[str, Any]]" = {
    "claim": {"work": (bool, False)},
    "admit": {"lease": (dict, REQUIRED), "capacity": (dict, REQUIRED), "tasks": (bool, False)},
    "put": {"file": (str, REQUIRED), "data": (str, REQUIRED)},
    "start": {"spec": (dict, REQUIRED)},
    "follow": {
        "window": (int, REQUIRED),
        "stdout": (Count, 0),
        "stderr": (Count, 0),
        "log": (Count, 0),
        "spec": (Count, 0),
        "streams": (list, ["stdout", "stderr"]),
        "stop": (str, "end"),
    },
    "input": {"data": (str, REQUIRED), "complete": (bool, False)},
    "tasks": {"tasks": (list, REQUIRED)},
    "finish": {},
    "ack": {"stream": (str, REQUIRED), "offset": (int, REQUIRED)},
    "keep": {},
    "signal": {"signal": (int, REQUIRED)},
    "checkpoint": {"signal": (int, REQUIRED), "file": (str, None)},
    "end": {"grace_s": (float, REQUIRED), "why": (str, REQUIRED)},
    "forget": {"work": (bool, False)},
    "status": {},
    "ping": {},
    "settle": {"boot_id": (str, REQUIRED), "birth": (str, REQUIRED), "void": (bool, REQUIRED)},
    "propose": {
        "key": (str, REQUIRED),
        "asked_at": (float, REQUIRED),
        "lasts_s": (float, REQUIRED),
        "reason": (str, REQUIRED),
        "by": (str, REQUIRED),
    },
    "drain": {
        "reason": (str, REQUIRED),
        "by": (str, REQUIRED),
        "lasts_s": (float, None),
        "until": (float, None),
        "key": (str, ""),
    },
    "resume": {"key": (str, "")},
    "reap": {"keep_s": (float, REQUIRED), "apply": (bool, REQUIRED), "after": (str, ""), "keep": (list, [])},
}

OF_THE_NODE = ("ping", "propose", "drain", "resume", "reap")  # these name no job

WISH: "dict[str, Any]" = {
    "cpus": (float, REQUIRED),
    "mem_bytes": (Count, REQUIRED),
    "gpu_count": (Count, REQUIRED),
    "gpu_candidates": (list, REQUIRED),
    "gpu_share": (float, 1.0),
    "gpu_cpus": (list, []),  # for each candidate the cpus near it, as `0-3,8`
    "gpu_visible": (dict, None),  # the GPUs that a job without any may see, each with the pids of processes on it
    "slots": (Count, REQUIRED),
    "exclusive": (bool, REQUIRED),
    "name": (str, ""),
    "tmp_bytes": (Count, 0),
    "limit_cpus": (float, None),
    "limit_mem_bytes": (Count, None),
    "force": (bool, False),
    "time_limit_s": (float, None),
}

CAPACITY: "dict[str, Any]" = {"cpus": (float, None), "slots": (Count, None), "promised_cpus": (float, None)}

LEASE: "dict[str, Any]" = {
    "v": (int, REQUIRED),
    "cpus": (float, REQUIRED),
    "mem_bytes": (Count, REQUIRED),
    "gpus": (list, REQUIRED),
    "gpu_share": (float, 1.0),
    "slots": (Count, REQUIRED),
    "exclusive": (bool, REQUIRED),
    "uptime_s": (float, REQUIRED),
    "name": (str, REQUIRED),
    "tmp_bytes": (Count, 0),
    "limit_cpus": (float, None),
    "limit_mem_bytes": (Count, None),
    "cpu_ids": (str, ""),
}

DRAIN: "dict[str, Any]" = {
    "v": (int, REQUIRED),
    "reason": (str, REQUIRED),
    "by": (str, REQUIRED),
    "at": (float, REQUIRED),
    "until": (float, None),
    "asked_at": (float, None),
}

SPEC: "dict[str, Any]" = {
    "name": (str, ""),
    "argv": (list, None),
    "script": (dict, None),
    "env": (dict, {}),
    "chdir": (str, None),
    "chdir_explicit": (bool, False),
    "umask": (int, 0o022),
    "login": (bool, False),
    "time_limit_s": (float, None),
    "grace_s": (float, 5.0),
    "tied": (bool, False),
    "pty": (dict, None),
    "input": (bool, False),
    "hosts": (str, ""),
    "results_s": (float, 0.0),
}

PTY: "dict[str, Any]" = {"rows": (Count, REQUIRED), "columns": (Count, REQUIRED)}

ENDS: "dict[str, dict[str, Any]]" = {
    "exited": {"rc": (Count, REQUIRED)},
    "killed": {"signal": (Count, REQUIRED)},
    "timeout": {},
    "out_of_memory": {"limit_bytes": (Count, REQUIRED), "used_bytes": (Count, None)},
    "cancelled": {"why": (str, REQUIRED)},
}

RECORD: "dict[str, Any]" = {
    "end": (dict, REQUIRED),
    "seconds": (float, REQUIRED),
    "usage": (dict, None),
    "warnings": (list, REQUIRED),
}

SCRIPT: "dict[str, Any]" = {"name": (str, REQUIRED), "args": (list, [])}


def is_made_of(text: str, characters: str, most: int) -> bool:
    """Whether it has from 1 to `most` characters, all of them of these. (`re` takes 6 ms to import.)"""
    return 0 < len(text) <= most and not text.strip(characters)


def is_key(text: str) -> bool:
    return len(text) == 32 and is_made_of(text, HEXADECIMAL, 32)


def is_job_name(text: str) -> bool:
    """Whether it is a key and an attempt, from 1 to 999999."""
    key, _, attempt = text.partition(".")
    return is_key(key) and is_made_of(attempt, DIGITS, 6) and attempt[0] != "0"


def is_a(kind: type, value: object) -> bool:
    """Whether a JSON value is of `kind`. A flag is no number; a `float` is from 0 to below 10^12."""
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float)) and 0 <= value < 1e12
    if kind is Count:
        return isinstance(value, int) and 0 <= value <= 1 << 60
    return isinstance(value, kind)


def checked(raw: "dict[str, Any]", fields: "dict[str, Any]", where: str) -> "dict[str, Any]":
    """All of `fields`, with defaults for those not given. Unknown, missing and wrong fields raise `MisfitError`."""
    for name in raw:
        if name not in fields:
            raise MisfitError("%s has no field %r; it has %s" % (where, name[:40], ", ".join(sorted(fields))))
    full = {}
    for name, (kind, default) in fields.items():
        value = raw.get(name, default)
        if value is REQUIRED:
            raise MisfitError("%s lacks its field %r" % (where, name))
        if not (value is default or is_a(kind, value)):
            raise MisfitError("%s: %r must be %s, not %.60r" % (where, name, KINDS[kind], value))
        full[name] = value
    return full


def parse_request(line: "bytes | None") -> "dict[str, Any]":
    """A request with all its fields, `op` included, and `job` unless it concerns the node. May raise `MisfitError`."""
    if line is None:
        raise MisfitError("a line is longer than %d bytes" % LINE_BYTES)
    try:
        raw = loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MisfitError("not JSON: %.60r" % line) from None
    op = raw.get("op") if isinstance(raw, dict) else None
    if not isinstance(op, str) or op not in REQUESTS:
        raise MisfitError("not a request: %.60r; `op` is one of %s" % (line, ", ".join(sorted(REQUESTS))))
    fields = dict(REQUESTS[op], op=(str, REQUIRED))
    if op in OF_THE_NODE:
        return with_key(checked(raw, fields, op))
    request = checked(raw, dict(fields, job=(str, REQUIRED)), op)
    if not is_job_name(request["job"]):
        raise MisfitError("%s: %.60r is no job; one is named <32 hexadecimal digits>.<attempt>" % (op, request["job"]))
    return request


def with_key(request: "dict[str, Any]") -> "dict[str, Any]":
    """The request, after a check of its `key`, which becomes part of a file name. May raise `MisfitError`."""
    key = request.get("key")
    if key and not is_key(key):
        raise MisfitError("%s: 'key' must be 32 hexadecimal digits, not %.60r" % (request["op"], key))
    return request


def encoded(text: object, where: str) -> bytes:
    """Text as bytes, by `surrogateescape`. `MisfitError` if it is no text, holds a NUL or other surrogates."""
    if not isinstance(text, str):
        raise MisfitError("%s must be text, not %.60r" % (where, text))
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise MisfitError("%s holds surrogates that stand for no byte" % where) from None
    if b"\0" in raw:
        raise MisfitError("%s holds a NUL" % where)
    return raw
