import json

import pytest

from pgmcp.execution.plan import MAX_CHEAP_COST, CheapStatements, Plan, read_plan
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


def test_a_plan_is_read_from_its_top_node() -> None:
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
    assert plan.summary() == "cost inf, about inf rows: a plan that is too long to read"


def test_a_summary_names_cost_rows_and_the_first_nodes() -> None:
    plan = Plan(12_345.6, 1_000, tuple("abcdefgh"))

    assert plan.summary() == "cost 12,346, about 1,000 rows: a > b > c > d > e > f"


@pytest.mark.parametrize(
    ("cost", "is_cheap"), [(0.0, True), (MAX_CHEAP_COST, True), (MAX_CHEAP_COST + 1, False)]
)
def test_a_plan_is_cheap_up_to_the_maximum_cost(cost: float, is_cheap: bool) -> None:
    assert Plan(cost, 1, ()).is_cheap is is_cheap


LOOKUP = b"select name from orders where id = 17 and status = 'paid'"


@pytest.mark.parametrize(
    ("sql", "is_known"),
    [
        (LOOKUP, True),
        (b"select name from orders where id = 8 and status = 'due, or not'", True),
        (b"select name from orders where id = 17", False),
        (b"select name from orders2 where id = 17 and status = 'paid'", False),
        (LOOKUP + b" " * 20_000, False),
    ],
)
def test_statements_that_differ_in_literals_have_one_shape(sql: bytes, is_known: bool) -> None:
    shapes = CheapStatements()
    shapes.add(LOOKUP)
    shapes.add(b"select 1" + b" " * 20_000)

    assert shapes.knows(sql) is is_known


def test_a_stored_shape_can_be_removed() -> None:
    shapes = CheapStatements()
    shapes.add(LOOKUP)

    shapes.forget(LOOKUP)

    assert not shapes.knows(LOOKUP)


def test_the_most_recently_used_shapes_are_kept() -> None:
    shapes = CheapStatements()
    shapes.add(LOOKUP)
    for number in range(600):
        shapes.add(b"select a%d" % number)
        assert shapes.knows(LOOKUP)

    assert not shapes.knows(b"select a0")
