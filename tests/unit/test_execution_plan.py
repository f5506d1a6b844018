import json

import pytest

from pgmcp.execution.plan import MAX_CHEAP_COST, Plan, read_plan
from pgmcp.execution.result import Column, JsonScalar, Rows

PLAN = {
    "Node Type": "Hash Join",
    "Total Cost": 12_345.6,
    "Plan Rows": 1_000,
    "Plans": [
        {"Node Type": "Seq Scan", "Relation Name": "orders"},
        {"Node Type": "Hash", "Plans": [{"Node Type": "Index Scan", "Relation Name": "customers"}]},
    ],
}


def test_a_plan_is_read_from_the_top_down() -> None:
    rows = Rows((Column("QUERY PLAN", "json"),), [[json.dumps([{"Plan": PLAN}])]])

    assert read_plan(rows) == Plan(
        cost=12_345.6,
        rows=1_000,
        nodes=("Hash Join", "Seq Scan on orders", "Hash", "Index Scan on customers"),
    )


@pytest.mark.parametrize("rows", [[], [[json.dumps([{"Plan": PLAN}])[:80]]]])
def test_a_plan_that_was_cut_is_not_cheap(rows: list[list[JsonScalar]]) -> None:
    plan = read_plan(Rows((Column("QUERY PLAN", "json"),), rows))

    assert not plan.is_cheap
    assert plan.summary() == "cost inf, about inf rows: a plan that is too long to be read"


def test_a_summary_names_cost_rows_and_the_first_nodes() -> None:
    plan = Plan(12_345.6, 1_000, tuple("abcdefgh"))

    assert plan.summary() == "cost 12,346, about 1,000 rows: a > b > c > d > e > f"


@pytest.mark.parametrize(
    ("cost", "is_cheap"), [(0.0, True), (MAX_CHEAP_COST, True), (MAX_CHEAP_COST + 1, False)]
)
def test_a_plan_is_cheap_up_to_its_bound(cost: float, is_cheap: bool) -> None:
    assert Plan(cost, 1, ()).is_cheap is is_cheap
