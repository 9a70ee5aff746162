"""What hours cost. A hole in the prices is no price, and never 0."""

from clbalance.model import NodeName
from clbalance.model.report import Cost, Held
from clbalance.policy.report.compare import changes
from clbalance.policy.report.prices import PriceTable
from tests.policy.report.build import DAY, NODE, OTHER, copy, job, point, report

HOUR_S = 3600.0
HELD = [Held(node=NODE, cpu_s=10 * HOUR_S, gpu_s=HOUR_S), Held(node=OTHER, cpu_s=HOUR_S, gpu_s=2 * HOUR_S)]


def cost(prices: PriceTable, *held: Held) -> tuple[float | None, float, float]:
    found = prices.cost_of(held)
    return found.value, found.unpriced_cpu_s / HOUR_S, found.unpriced_gpu_s / HOUR_S


def test_hours_cost_what_the_table_says() -> None:
    assert cost(PriceTable(cpu_hour=0.5, gpu_hour=2.0), *HELD) == (5.5 + 6.0, 0.0, 0.0)


def test_without_prices_nothing_costs_nothing() -> None:
    assert cost(PriceTable(), *HELD) == (None, 11.0, 3.0)


def test_hours_without_a_price_are_counted_apart() -> None:
    assert cost(PriceTable(gpu_hour=2.0), *HELD) == (6.0, 11.0, 0.0)
    assert cost(PriceTable(cpu_hour_on={NODE: 1.0}), *HELD) == (10.0, 1.0, 3.0)


def test_a_node_may_have_prices_of_its_own_also_none_at_all_for_nothing() -> None:
    assert cost(PriceTable(cpu_hour=1.0, cpu_hour_on={NODE: 0.0}), HELD[0]) == (None, 0.0, 1.0)
    assert cost(PriceTable(cpu_hour=1.0, gpu_hour=0.0, cpu_hour_on={NODE: 0.0}), HELD[0]) == (0.0, 0.0, 0.0)


def test_who_has_held_only_what_has_no_price_has_no_cost_of_zero() -> None:
    only_cpus = Held(node=NodeName("c"), cpu_s=HOUR_S)
    assert cost(PriceTable(gpu_hour=2.0), only_cpus) == (None, 1.0, 0.0)
    assert cost(PriceTable(gpu_hour=2.0)) == (None, 0.0, 0.0)
    assert (Cost(amount=0.0) + Cost()).value == 0.0


def test_users_and_nodes_are_priced() -> None:
    table = PriceTable(currency="EUR", cpu_hour=1.0)
    found = report({NODE: [point(0, leased_cpus=2.0)]}, [job(copy(HOUR_S), ended=60)], prices=table)
    assert found.total.cost.value == 2.0 / 6
    assert [user.cost.value for user in found.users] == [1.0]
    assert found.currency == "EUR"


def test_two_periods_are_compared_figure_by_figure_per_day() -> None:
    before = report({NODE: [point(0, ut_pct=10.0)]}, [job(copy(60), ended=1)], period=DAY)
    after = report({NODE: [point(0, ut_pct=30.0)]}, [], period=DAY)
    found = {change.name: change for change in changes(before, after)}
    assert found["cpus used"].change == 20.0
    assert found["jobs ended a day"].change == -1.0
    assert (found["jobs that failed"].before, found["jobs that failed"].change) == (0.0, None)
    assert found["cost a day"].before is None
