"""One run of `rebalance`, shown or done: where its nodes, its memory and its outlets come from."""

import os
from pathlib import Path

from clbalance.cli.complete_outputs import complete_outputs
from clbalance.cli.options import RebalanceOptions
from clbalance.cli.rebalance_deeds import Deeds
from clbalance.cli.rebalance_report import planned_deeds, report_of
from clbalance.cli.screen import Screen
from clbalance.cli.submit import input_of
from clbalance.cli.workplace import Workplace
from clbalance.engine.rebalance import Pool
from clbalance.engine.rebalance_steps import Aim, Decision, carry_out, decide
from clbalance.engine.start_waiting import AsSubmitted
from clbalance.lazy_dataclass import dataclass
from clbalance.policy.rebalance.values import Levels
from clbalance.render import talk
from clbalance.render.reports.rebalance import Deed, RebalanceReport, pool_heading, remarks


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
            decision = decide(world, self._aim(), counts=False)
        report = self._report(decision, planned_deeds(decision))
        self.screen.show(report)
        for pool in report.pools:
            self.screen.say(talk.note(pool_heading(pool)))
            for remark in remarks(pool):
                self.screen.say(talk.note(remark))
        return 0

    def carry_out(self) -> int:
        """Do it, and say nothing where there was nothing to do."""
        with self.place.world(meanwhile="clbalance.engine.move_jobs", must_remember=True) as world:
            decision = decide(world, self._aim(), counts=True)
            deeds = Deeds(world, self.screen, decision.scores)
            brought = AsSubmitted(question_of=self.place.question_of_job, input_of=input_of)
            carry_out(world, decision, brought, deeds)
            complete_outputs(world, self.screen)
        self.screen.show(self._report(decision, tuple(deeds.all)))
        return 0

    def _aim(self) -> Aim:
        return Aim(
            nodes=self.place.candidates.nodes,
            pools=self.pools,
            levels=self.levels,
            policy_of=lambda one: self.place.policy_as(one.group, one.policy),
            rng=self.place.rng,
            uid=os.geteuid(),
        )

    def _report(self, decision: Decision, deeds: tuple[Deed, ...]) -> RebalanceReport:
        return report_of(decision, deeds=deeds, confirm=self.levels.confirm, options=self.options)
