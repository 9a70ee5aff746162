"""The conversation: frames, bad requests, ways of being started, and ways of going away."""

import itertools
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.engine.agent.bootstrap import bootstrap
from clbalance.node import agent_source, reaping_agent_source
from clbalance.node.agent.fields import parse_request
from clbalance.node.agent.protocol import Lines, MisfitError
from clbalance.node.packing import packed
from tests.waiting import SOON_S

from .agent_client import FRAME, NONCE, NOTHING, WAIT_S, AgentClient, new_job

NOBODYS = "0" * 32 + ".1"
BASH_PIPE_BYTES = 64 << 10  # a longer here-document becomes a temporary file in bash, which a full disk refuses


def test_what_travels_fits_a_pipe() -> None:
    assert len(bootstrap(NONCE, reaping_agent_source())) < BASH_PIPE_BYTES  # the longer one


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]], ids=" ".join)
def test_the_agent_replaces_an_open_shell(tmp_path: Path, shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    with AgentClient(tmp_path, command=[*shell, "-s"]) as client:
        client.send(bootstrap(NONCE, agent_source()))
        client.until("hello")  # before it nothing may be sent: dash and busybox read ahead
        assert client.run(argv=["echo", "over"])["stdout"] == b"over\n"


def test_what_goes_wrong_in_the_packed_text_is_told_with_the_line_of_the_source(tmp_path: Path) -> None:
    wire = "import sys\n\n\ndef main():\n    raise RuntimeError(sys.argv[1])\n"
    source = packed({"clbalance": "", "clbalance.wire": wire}, "clbalance.wire")
    with AgentClient(tmp_path, command=["sh", "-s"], stderr=subprocess.PIPE) as client:
        client.send(bootstrap(NONCE, source))
        assert client.process.stderr is not None
        parsed = client.process.stderr.read().decode()
        client.process.stderr.close()
    assert 'File "clbalance/wire.py", line 5, in main' in parsed
    assert f"RuntimeError: {NONCE}" in parsed


def test_hello_tells_who_and_where(client: AgentClient, tmp_path: Path) -> None:
    hello = client.until("hello")
    assert hello["protocol"] == 2
    assert hello["node_dir"] == str(tmp_path)


def test_events_come_in_the_order_of_the_jobs_life(client: AgentClient) -> None:
    job = client.begin(script=b"echo x", stdin=b"")
    seen = [event for event in (client.event() for _ in range(8)) if event["ev"] != "admitted"]
    assert [event["ev"] for event in seen] == ["hello", "claimed", "stored", "stored", "started", "output", "ended"]
    assert {event.get("job", job) for event in seen} == {job}
    assert [seen[2]["file"], seen[2]["size"]] == ["script", 6]


def test_a_ping_is_answered_also_while_a_job_runs(client: AgentClient) -> None:
    client.begin(argv=["sleep", "60"])
    client.until("started")
    client.send(b'{"op":"ping"}\n')
    assert client.until("alive") == {"ev": "alive"}


def test_usage_and_seconds_are_told(client: AgentClient) -> None:
    ran = client.run(argv=[sys.executable, "-c", "x = bytearray(80 << 20)\nfor i in range(10**6): pass"])
    assert 0 < ran["seconds"] < SOON_S
    assert ran["usage"]["user_s"] > 0
    assert ran["usage"]["max_rss_bytes"] > 80 << 20


@pytest.mark.parametrize(
    ("request_line", "reason"),
    [
        (b"", "not JSON: b''"),
        (b"{", "not JSON: b'{'"),
        (b"\xff", r"not JSON: b'\\xff'"),
        (b"[" * 100_000, "not JSON: b'"),
        (b"[]", "not a request: .*; `op` is one of ack, admit, checkpoint, "),
        (b'{"op":"dance"}', "not a request"),
        (b'{"op":"claim"}', "claim lacks its field 'job'"),
        (b'{"op":"claim","job":"../../etc"}', "claim: '../../etc' is no job"),
        (b'{"op":"claim","job":"%s.0"}' % (b"a" * 32), "is no job"),
        (b'{"op":"claim","job":"%s.1\\n"}' % (b"a" * 32), "is no job"),
        (b'{"op":"claim","job":"x","more":1}', "claim has no field 'more'; it has job, op"),
        (b'{"op":"follow","job":"x","window":true}', "follow: 'window' must be a whole number, not True"),
        (b'{"op":"end","job":"x","why":"","grace_s":Infinity}', "end: 'grace_s' must be a number, 0 or more, not inf"),
        (b'{"op":"drain","reason":"x","by":"x","until":NaN}', "drain: 'until' must be a number, 0 or more, not nan"),
        (b'{"op":"resume","key":"../x"}', "resume: 'key' must be 32 hexadecimal digits, not '../x'"),
        (b'{"op":"resume","job":"x"}', "resume has no field 'job'; it has key, op"),
        (None, "a line is longer than 4194304 bytes"),
    ],
)
def test_a_request_that_cannot_be_meant_is_told_with_its_place(request_line: bytes | None, reason: str) -> None:
    with pytest.raises(MisfitError, match=reason):
        parse_request(request_line)


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        ("start", {"spec": {"argv": ["true"]}}),
        ("admit", {"lease": NOTHING, "capacity": {}}),
        ("put", {"file": "script", "data": ""}),
        ("follow", {"window": 1}),
        ("ack", {"stream": "stdout", "offset": 0}),
        ("signal", {"signal": 15}),
        ("end", {"grace_s": 0, "why": ""}),
        ("forget", {}),
    ],
)
def test_what_was_not_claimed_here_cannot_be_touched(client: AgentClient, op: str, fields: dict[str, object]) -> None:
    client.until("hello")
    client.ask(op, NOBODYS, **fields)
    parsed = client.event()
    assert parsed["ev"] == "error"
    assert parsed["why"] in (f"{op}: {NOBODYS} was not claimed here", f"{op}: {NOBODYS} was not started here")


def test_requests_out_of_turn_are_errors_and_harm_nothing(client: AgentClient) -> None:
    job = client.begin(argv=["cat", "/dev/stdin"], stdin=b"x")
    client.until("ended", job)
    turns: list[tuple[str, dict[str, object], str]] = [
        ("claim", {}, "was claimed here before"),
        ("put", {"file": "stdin", "data": ""}, "was started before"),
        ("start", {"spec": {"argv": ["true"]}}, "was started before"),
        ("follow", {"window": 0}, "`window` must lie between 1 and 2^30 bytes, not 0"),
        ("signal", {"signal": 0}, "there is no signal 0"),
        ("signal", {"signal": 65}, "there is no signal 65"),
    ]
    for op, fields, reason in turns:
        client.ask(op, job, **fields)
        parsed = client.event()
        assert parsed["ev"] == "error"
        assert reason in parsed["why"]
    assert client.run(argv=["true"])["end"]["rc"] == 0


def test_a_job_cannot_be_forgotten_before_its_end(client: AgentClient) -> None:
    job = client.begin(argv=["sleep", "600"])
    client.until("started", job)
    client.ask("forget", job)
    assert "has not ended" in client.event()["why"]


def test_a_put_that_is_not_base64_refuses_the_job_rather_than_run_half_a_script(client: AgentClient) -> None:
    job = new_job()
    client.ask("claim", job)
    client.ask("put", job, file="script", data="!")
    client.ask("start", job, spec={"script": {"name": "x"}})
    assert client.until_refused(job)["kind"] == "spec"
    assert client.line(0.1) is None


def test_a_script_that_was_never_put_is_refused(client: AgentClient) -> None:
    job = new_job()
    client.ask("claim", job)
    client.ask("admit", job, lease=NOTHING, capacity={})
    client.ask("start", job, spec={"script": {"name": "x"}})
    assert client.until_refused(job)["why"] == "`script` was asked for, but nothing was put there"


def test_an_endless_line_is_skipped_and_told_once(client: AgentClient) -> None:
    client.until("hello")
    for _ in range(6):
        client.send(b"x" * (1 << 20))
    client.send(b"\n")
    assert client.event() == {"ev": "error", "why": "a line is longer than 4194304 bytes"}
    assert client.run(argv=["true"])["end"]["rc"] == 0


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentClient]:
    """One agent that has to bear everything."""
    with AgentClient(tmp_path_factory.mktemp("patient")) as client:
        client.until("hello")
        yield client


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
OPS = st.sampled_from(["claim", "admit", "put", "start", "follow", "ack", "signal", "end", "forget", "", "x"])
FIELDS = st.sampled_from(
    [
        "spec",
        "lease",
        "capacity",
        "reason",
        "by",
        "until",
        "file",
        "data",
        "window",
        "stream",
        "offset",
        "signal",
        "grace_s",
        "why",
        "x",
    ]
)
REQUESTS = st.builds(
    lambda op, job, fields: json.dumps({**fields, "op": op, "job": job}).encode(),
    OPS,
    st.just(NOBODYS[:-1] + "2") | st.text(max_size=40),
    st.dictionaries(FIELDS, JSON, max_size=4),
)


@settings(max_examples=100, deadline=None)
@given(garbage=st.lists(st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()) | REQUESTS, max_size=5))
def test_whatever_comes_in_only_whole_frames_go_out(patient: AgentClient, garbage: list[bytes]) -> None:
    patient.send(b"\n".join([*garbage, b""]))
    patient.ask("forget", NOBODYS)
    while True:
        line = patient.line()
        assert line is not None
        assert line.startswith(FRAME)
        event = json.loads(line[len(FRAME) :])
        assert event["ev"] in ("error", "claimed", "refused", "stored")
        if event.get("why") == f"forget: {NOBODYS} was not claimed here":
            break


@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5), limit=st.integers(1, 50))
def test_lines_are_the_same_however_they_arrive(content: bytes, cuts: list[int], limit: int) -> None:
    lines = Lines(-1, limit)
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    got: list[bytes | None] = []
    for start, end in itertools.pairwise(edges):
        got += lines.cut(content[start:end])
    *whole, _ = content.split(b"\n")
    assert got == [line if len(line) <= limit else None for line in whole]


def test_the_agent_goes_when_its_input_ends(client: AgentClient) -> None:
    client.until("hello")
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.process.wait(WAIT_S) == 0


def test_the_agent_goes_when_nobody_reads_it_any_more(client: AgentClient) -> None:
    client.until("hello")
    assert client.process.stdout is not None
    client.process.stdout.close()
    assert client.process.wait(WAIT_S) == 0


def test_a_client_that_only_talks_is_no_longer_heard_until_it_listens(client: AgentClient) -> None:
    client.until("hello")
    assert client.process.stdin is not None
    stdin = client.process.stdin.fileno()
    sent = 0
    os.set_blocking(stdin, False)
    while select.select([], [stdin], [], 0.5)[1]:
        sent += os.write(stdin, b"x\n" * 2000)
        assert sent < 8 << 20
    os.set_blocking(stdin, True)
    assert [client.event()["ev"] for _ in range(sent // 2)] == ["error"] * (sent // 2)
