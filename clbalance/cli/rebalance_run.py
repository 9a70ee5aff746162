"""One run of `rebalance`: what it finds, what it decides, and then either shows or does."""

import os
from pathlib import Path

from clbalance.cli.rebalance import RebalanceOptions
from clbalance.cli.rebalance_deeds import Deeds
from clbalance.cli.rebalance_report import Decision, report_of, settled_deeds
from clbalance.cli.screen import Screen
from clbalance.cli.start_waiting import start_waiting
from clbalance.cli.submit import input_of
from clbalance.cli.workplace import Workplace
from clbalance.engine.errand import AskedMove, MoveEnd
from clbalance.engine.move_jobs import move_jobs
from clbalance.engine.patience import withdraw
from clbalance.engine.rebalance import Pool, choose_queued, facts_of, our_uid, plan_pools
from clbalance.engine.world import World
from clbalance.errors import NoAnswerError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured
from clbalance.policy.rebalance.values import Levels
from clbalance.render import talk
from clbalance.render.rebalance import pool_heading, remarks

_START_FOR_S = 120.0
"""Then the rest of those that wait is left to the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceRun:
    """`place` has the nodes of all pools; `state` is the folder of what this host remembers."""

    place: Workplace
    pools: list[Pool]
    levels: Levels
    screen: Screen
    options: RebalanceOptions
    state: Path

    def look(self) -> int:
        """Show what would be done; nothing is changed but what is known of jobs that have ended."""
        with self.place.world(meanwhile="clbalance.engine.rebalance") as world:
            decision = self._decide(world)
        report = report_of(decision, deeds=decision.planned, options=self.options)
        self.screen.print(self.screen.renderer.rebalance(report))
        for pool in report.pools:
            self.screen.say(talk.note(pool_heading(pool)))
            for remark in remarks(pool):
                self.screen.say(talk.note(remark))
        return 0

    def carry_out(self) -> int:
        """Do it, and say nothing where there was nothing to do."""
        with self.place.world(meanwhile="clbalance.engine.move_jobs", must_remember=True) as world:
            decision = self._decide(world)
            deeds = Deeds(world, self.screen, self.state, decision)
            for deed in settled_deeds(decision.facts):
                deeds.note(deed)
            self._start_waiting(world, decision, deeds)
            self._move(world, decision, deeds)
            deeds.count_run()
        self.screen.print(
            self.screen.renderer.rebalance_done(report_of(decision, deeds=tuple(deeds.done), options=self.options))
        )
        return 0

    def _decide(self, world: World) -> Decision:
        facts = facts_of(world, self.place.candidates.nodes)
        if not any(isinstance(answer, Measured) for answer in facts.snapshot.answers):
            raise NoAnswerError("no node has answered", hint="`clbalance load` shows each with its reason")
        chosen, charged = choose_queued(
            world, facts, lambda one: self.place.policy_as(one.group, one.policy), self.place.rng
        )
        uid = our_uid(facts.snapshot, otherwise=os.geteuid())
        plans = plan_pools(world, charged, self.pools, self.levels, uid=uid, counts=self.options.apply)
        return Decision(facts=facts, chosen=chosen, plans=plans, confirm=self.levels.confirm)

    def _start_waiting(self, world: World, decision: Decision, deeds: Deeds) -> None:
        queued = decision.facts.queued
        for job, why in decision.chosen.never.items():
            withdraw(world, job, why)
            deeds.gave_up(queued[job].record, why)
        asked = frozenset(answer.node for answer in decision.facts.snapshot.answers)
        for job, why in decision.chosen.waits.items():
            record = queued[job].record
            if why != record.reason and not asked.isdisjoint(queued[job].submitted.candidates):
                world.journal.queue(job, attempt=record.attempt, reason=why)
        until = world.clock.monotonic() + _START_FOR_S
        for job, nodes in decision.chosen.starts:
            one = queued[job]
            if world.clock.monotonic() < until:
                deeds.started(one.record, start_waiting(self.place, world, one.record, one.submitted, nodes))

    def _move(self, world: World, decision: Decision, deeds: Deeds) -> None:
        moves = decision.moves
        if not moves:
            return
        asked = {AskedMove(job=one.job, src=one.src, dst=one.dst, why=one.why): one for one in moves}

        def tell(move: AskedMove, end: MoveEnd) -> None:
            deeds.moved(asked[move], end)

        move_jobs(world, list(asked), self.place.question_of_job, input_of, tell)
