"""One claim against a pure model of it, whatever happens in whatever order.

It is started at most once, never once it was void; an answer that is final stays; nothing runs that is not alive.
CLBALANCE_SOAK=50 for a thousand lives.
"""

from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.faults.soak import trials
from tests.node.agent_client import AgentClient, gone, new_job
from tests.node.lives import (
    Claim,
    Lives,
    ask_admission,
    ask_settle,
    ask_start,
    carriers,
    collect,
    kill,
    marks_in,
)
from tests.node.nodes import Node, public_folder, remove
from tests.waiting import eventually

AGENTS = st.integers(0, 2)
SELDOM = st.sampled_from([False, False, True])
JOB = "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done"
KILLED = {"kind": "killed", "signal": 9}
DONE = {"kind": "exited", "rc": 0}
CANCELLED = {"kind": "cancelled", "why": "told to"}


class Model:
    """What there is on the node, and what must be answered."""

    def __init__(self) -> None:
        self.folder = False
        self.fate = ""
        self.supervised = False
        self.end: dict[str, Any] | None = None
        self.rebooted = False
        self.wiped = False

    @property
    def runs(self) -> bool:
        return self.supervised and self.fate == "started"

    def settle(self, *, void: bool) -> tuple[str, dict[str, Any] | None]:
        """The state, and the end that comes with it."""
        if self.wiped:
            self.supervised = False
            return "gone", None
        if self.end is not None:
            return "ended", self.end
        if void and not self.rebooted and not self.fate:
            self.folder, self.fate = True, "void"
        if self.fate == "started" and not self.supervised and not self.rebooted:
            self.end = KILLED
            return "ended", KILLED
        return self.state_without_end(), None

    def state_without_end(self) -> str:
        if self.fate == "void":
            return "void"
        if self.rebooted:
            return "gone"
        if self.fate == "started":
            return "running"
        return "claimed" if self.folder else "absent"

    def follow(self) -> str:
        """The event that ends it. Who merely looks is told so after a reboot too, but then leaves no record."""
        if self.wiped or self.fate != "started":
            return "error"
        if self.supervised:
            return "current"
        if not self.rebooted:
            self.end = self.end or KILLED
        return "ended"


class Life(RuleBasedStateMachine):
    """Three agents and one claim."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.node = Node(self.stack.enter_context(public_folder()))
        self.jobs = Lives(self.node, self.stack)
        first = self.jobs.agent()
        sample = self.jobs.claim(first)  # of which boot and birth are known before the claim in question
        self.claim_ = Claim(new_job(), sample.boot_id, sample.incarnation)
        self.jobs.claims.append(self.claim_)
        self.job = self.claim_.job
        self.agents: list[AgentClient | None] = [first, None, None]
        self.model = Model()
        self.holder: AgentClient | None = None  # whose claim it is, until it is refused
        self.admitted = False
        self.met: list[AgentClient] = []  # those who have it among their jobs, and may not settle it
        self.deaf: list[
            AgentClient
        ] = []  # those who were refused it, and pass over what else is asked of it but `settle`
        self.supervisor = 0
        self.starts = 0
        self.final: tuple[str, dict[str, Any] | None] | None = None

    def teardown(self) -> None:
        """Each life ends with a look and, from an agent that knows nothing of it, the last question."""
        try:
            for void in (False, True, False):
                self.check(self.jobs.settle(self.claim_, void=void), void=void)
        finally:
            self.end_all()

    def end_all(self) -> None:
        self.jobs.end_all()
        for agent in self.agents:
            if agent is not None:
                kill(agent.process.pid)
        self.stack.close()

    def agent(self, number: int) -> AgentClient:
        agent = self.agents[number]
        if agent is None:
            agent = self.agents[number] = self.jobs.agent()
        return agent

    def drop(self, agent: AgentClient) -> None:
        self.agents[self.agents.index(agent)] = None
        if agent is self.holder:
            self.holder = None
            if not self.model.runs:
                self.model.supervised = False
                if self.admitted and self.supervisor:
                    assert gone([self.supervisor])

    def drop_all(self) -> None:
        for agent in self.agents:
            if agent is not None:
                agent.process.kill()
                agent.process.wait()
                self.drop(agent)

    def refused(self, kind: str) -> None:
        """The holder is told so, and has the claim no more."""
        assert self.holder is not None
        assert self.holder.until_refused(self.job)["kind"] == kind
        self.met.remove(self.holder)
        self.deaf.append(self.holder)
        self.holder = None

    @initialize(steps=st.integers(0, 3))
    def has_come_so_far(self, steps: int) -> None:
        """Else few would come as far as their start."""
        for step in [lambda: self.claims(0), self.admits, self.starts_it][:steps]:
            step()

    @rule(number=AGENTS)
    @precondition(lambda self: self.model.folder or not (self.model.wiped or self.model.rebooted))
    def claims(self, number: int) -> None:
        agent = self.agent(number)
        agent.ask("claim", self.job)
        parsed = agent.event()
        if agent in self.met:
            assert parsed["ev"] == "error"
        elif self.model.folder or self.model.wiped:
            assert (parsed["ev"], parsed["kind"]) == ("refused", "exists")
            self.deaf.append(agent)
        else:
            assert parsed["ev"] == "claimed"
            self.holder = agent
            self.met.append(agent)
            self.model.folder = True

    @rule()
    @precondition(lambda self: self.holder is not None and not self.admitted)
    def admits(self) -> None:
        assert self.holder is not None
        ask_admission(self.holder, self.job)
        self.holder.until("admitted", self.job)
        self.admitted = self.model.supervised = True
        self.supervisor = self.jobs.supervisor_of(self.job)

    @rule()
    @precondition(lambda self: self.holder is not None and self.admitted and not self.starts)
    def starts_it(self) -> None:
        assert self.holder is not None
        ask_start(self.holder, self.job, JOB, chdir=str(self.node.base))
        if self.model.fate == "void":
            self.refused("void")
            self.model.supervised = False
            return
        self.holder.until("started", self.job)
        self.model.fate = "started"
        self.starts += 1
        eventually(lambda: marks_in(self.node.base / "ran"))

    @rule(number=AGENTS, abruptly=st.booleans())
    def an_agent_goes(self, number: int, abruptly: bool) -> None:
        agent = self.agents[number]
        if agent is None:
            return
        if abruptly:
            agent.process.kill()
        else:
            assert agent.process.stdin is not None
            agent.process.stdin.close()
        agent.process.wait()
        self.drop(agent)

    @rule()
    @precondition(lambda self: self.model.supervised)
    def the_supervisor_is_killed(self) -> None:
        kill(self.supervisor)
        self.model.supervised = False
        if self.model.runs or self.model.fate == "started":
            if self.holder is not None:
                eventually((self.jobs.folder(self.claim_) / "exit").exists)
                self.model.end = KILLED
        elif self.holder is not None:
            self.refused("resources")

    @rule()
    @precondition(lambda self: self.model.runs and not self.model.wiped)
    def it_ends_by_itself(self) -> None:
        (self.node.base / "go").touch()
        self.has_ended(DONE)

    @rule(number=AGENTS)
    @precondition(lambda self: self.model.runs and not self.model.wiped)
    def it_is_told_to_end(self, number: int) -> None:
        agent = self.agent(number)
        if agent in self.deaf:
            return
        agent.ask("end", self.job, grace_s=0.5, why="told to")
        self.met += [] if agent in self.met else [agent]
        self.has_ended(CANCELLED)

    def has_ended(self, end: dict[str, Any]) -> None:
        assert gone([self.supervisor])
        self.model.supervised = False
        self.model.end = end

    @rule(number=AGENTS, void=st.booleans())
    def settles(self, number: int, void: bool) -> None:
        agent = self.agent(number)
        if agent in self.met:
            agent.ask("settle", self.job, boot_id=self.claim_.boot_id, birth=self.claim_.incarnation, void=void)
            assert agent.event()["ev"] == "error"
            return
        self.deaf = [each for each in self.deaf if each is not agent]
        self.check(ask_settle(agent, self.claim_, void=void), void=void)

    def check(self, parsed: dict[str, Any], *, void: bool) -> None:
        answer = parsed["state"], parsed.get("record", {}).get("end")
        assert answer == self.model.settle(void=void)
        event(f"{answer[0]}, {self.starts} started")
        if answer[0] == "running":
            assert carriers(self.job)
        if answer[0] in ("ended", "gone"):
            assert not carriers(self.job)
        assert self.final in (None, answer)
        if answer[0] in ("ended", "void", "gone"):
            self.final = answer

    @rule(number=AGENTS)
    def follows(self, number: int) -> None:
        agent = self.agent(number)
        if agent in self.deaf or (agent is self.holder and not self.starts):
            return  # of the latter it is only told once it has started
        last = collect(agent, self.job, stop="now")[2]
        assert last["ev"] == self.model.follow()
        if last["ev"] == "error":
            return
        self.met += [] if agent in self.met else [agent]
        if last["ev"] == "ended":
            assert last["end"] == (self.model.end or KILLED)

    @rule(happens=SELDOM)
    def the_node_is_booted_again(self, happens: bool) -> None:
        """Everything ends, and the next boot has another name."""
        if not happens:
            return
        self.drop_all()
        if self.model.supervised:
            kill(self.supervisor)
            self.model.supervised = False
        self.jobs.end_all()
        self.node.boot("11111111-2222-3333-4444-555555555555")
        self.model.rebooted = True

    @rule(happens=SELDOM)
    def the_node_folder_is_wiped(self, happens: bool) -> None:
        if not happens:
            return
        self.drop_all()
        remove(self.node.home())
        self.model.wiped = True
        self.model.folder = False
        self.final = None  # what was known of it is lost with it

    @invariant()
    def it_ran_as_often_as_it_was_started(self) -> None:
        assert marks_in(self.node.base / "ran") == self.starts <= 1


TestLife = pytest.mark.soak(Life.TestCase)
TestLife.settings = settings(
    max_examples=trials(25, 1000),
    stateful_step_count=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each step is real: to shrink takes for ever
    suppress_health_check=[HealthCheck.too_slow],
)
