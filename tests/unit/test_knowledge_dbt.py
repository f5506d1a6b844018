"""dbt's manifests become terms, notes, joins and questions; a metric that cannot be SQL becomes words."""

from typing import Any

import pytest

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey, Index, Table, TableKind
from pgmcp.catalog.scope import CatalogScope
from pgmcp.knowledge.dbt import read_manifest, read_semantics
from pgmcp.knowledge.dbt_filters import Element, read_element, translate
from pgmcp.knowledge.entries import Knowledge, NotImportableError
from pgmcp.knowledge.tables import SourceName, Tables, find_column, is_unique, source_name


def table(name: str, *columns: str, schema: str = "public", **facts: Any) -> Table:
    made = tuple(Column(each, "text", nullable=True) for each in columns)
    return Table(schema, name, TableKind.TABLE, facts.pop("comment", ""), made, **facts)


ORDERS = table("orders", "id", "customer_id", "amount", "status", "placed_at", primary_key=("id",))
CUSTOMERS = table("customers", "id", "country_id", "region", primary_key=("id",))
COUNTRIES = table("countries", "id", "name", unique_constraints=(("id",),))
TABLES = Tables(Catalog((COUNTRIES, CUSTOMERS, ORDERS), ("public",), "18.1"))


def model(name: str, schema: str = "dbt_alice", **parts: Any) -> dict[str, Any]:
    return {
        "name": name,
        "node_relation": {"alias": name, "schema_name": schema, "database": "dev"},
        "defaults": {"agg_time_dimension": "ordered_on"},
        **parts,
    }


MODELS = [
    model(
        "orders",
        primary_entity="order",
        entities=[
            {"name": "order", "type": "primary", "expr": "id"},
            {"name": "customer", "type": "foreign", "expr": "customer_id"},
        ],
        dimensions=[
            {"name": "ordered_on", "type": "time", "expr": "placed_at"},
            {"name": "status", "type": "categorical"},
            {"name": "is_big", "type": "categorical", "expr": "amount > 100"},
        ],
        measures=[{"name": "total", "agg": "SUM", "expr": "amount"}],
    ),
    model(
        "customers",
        entities=[
            {"name": "customer", "type": "primary", "expr": "id"},
            {"name": "country", "type": "foreign", "expr": "country_id"},
        ],
        dimensions=[{"name": "region", "type": "categorical"}],
    ),
    model(
        "countries",
        entities=[{"name": "country", "type": "primary", "expr": "id"}],
        dimensions=[{"name": "country_name", "type": "categorical", "expr": "name"}],
    ),
]


def read(*metrics: dict[str, Any]) -> Knowledge:
    return read_semantics({"semantic_models": MODELS, "metrics": list(metrics)}, TABLES)


def simple(
    name: str = "revenue", agg: str = "sum", expr: str = "amount", filter: str = "", **more: Any
) -> dict[str, Any]:
    filters = {"where_filters": [{"where_sql_template": filter}]} if filter else None
    new = {"semantic_model": "orders", "agg": agg, "expr": expr, **more}
    return {
        "name": name,
        "type": "simple",
        "filter": filters,
        "type_params": {"metric_aggregation_params": new},
    }


@pytest.mark.parametrize(
    ("metric", "sql"),
    [
        (simple(), "SELECT sum(amount) FROM orders"),
        (simple(agg="average"), "SELECT avg(amount) FROM orders"),
        (simple(agg="count"), "SELECT sum(CASE WHEN amount IS NOT NULL THEN 1 ELSE 0 END) FROM orders"),
        (simple(agg="count_distinct", expr="CUSTOMER_ID"), "SELECT count(DISTINCT customer_id) FROM orders"),
        (
            simple(agg="percentile", agg_params={"percentile": 0.9, "use_approximate_percentile": True}),
            "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY amount) FROM orders",
        ),
        (
            simple(filter="{{ Dimension('order__status') }} = 'paid'"),
            "SELECT sum(amount) FILTER (WHERE (status = 'paid')) FROM orders",
        ),
        (
            simple(filter="{{ Dimension('status') }} = 'paid' -- )\n"),
            "SELECT sum(amount) FILTER (WHERE (status = 'paid')) FROM orders",
        ),
        (
            simple(filter="{{ TimeDimension('metric_time', 'month') }} > '2026-01-01'"),
            "SELECT sum(amount) FILTER (WHERE (DATE_TRUNC('month', placed_at) > '2026-01-01')) FROM orders",
        ),
        (
            simple(filter="NOT {{ Dimension('order__is_big') }}"),
            "SELECT sum(amount) FILTER (WHERE (NOT (amount > 100))) FROM orders",
        ),
        (
            simple(expr="amount /* gross */ * 2", filter="{{ Dimension('customer__region') }} = 'EU'"),
            "SELECT sum((orders.amount * 2)) FILTER (WHERE (customers.region = 'EU')) FROM orders "
            "LEFT JOIN customers ON orders.customer_id = customers.id",
        ),
        (
            simple(filter="{{ Dimension('country__country_name', entity_path=['customer']) }} = 'Chad'"),
            "SELECT sum(orders.amount) FILTER (WHERE (countries.name = 'Chad')) FROM orders "
            "LEFT JOIN customers ON orders.customer_id = customers.id "
            "LEFT JOIN countries ON customers.country_id = countries.id",
        ),
        (
            {"name": "old", "type": "SIMPLE", "type_params": {"measure": {"name": "total"}}},
            "SELECT sum(amount) FROM orders",
        ),
    ],
)
def test_a_metric_is_sql_over_the_columns_of_the_catalog(metric: dict[str, Any], sql: str) -> None:
    knowledge = read(metric)

    assert [each.sql for each in knowledge.metrics.values()] == [sql]
    assert knowledge.remarks == [
        "tables of the schema dbt_alice were not found; those of the same names in public were used"
    ]


def test_ratios_and_derived_metrics_share_a_from_or_have_subqueries() -> None:
    ratio = {
        "name": "paid_share",
        "type": "ratio",
        "type_params": {
            "numerator": {
                "name": "revenue",
                "filter": {
                    "where_filters": [{"where_sql_template": "{{ Dimension('order__status') }} = 'paid'"}]
                },
            },
            "denominator": {"name": "revenue"},
        },
    }
    derived = {
        "name": "per_customer",
        "type": "derived",
        "type_params": {
            "expr": "R / customers",
            "metrics": [{"name": "revenue", "alias": "r"}, {"name": "customers"}],
        },
    }
    customers = simple("customers", "count_distinct", "id", semantic_model="customers")

    knowledge = read(simple(), ratio, derived, customers)

    assert knowledge.metrics["paid_share"].sql == (
        "SELECT CAST((sum(amount) FILTER (WHERE (status = 'paid'))) AS double precision) / "
        "CAST(NULLIF(sum(amount), 0) AS double precision) FROM orders"
    )
    assert knowledge.metrics["per_customer"].sql == (
        "SELECT (SELECT sum(amount) FROM orders) / (SELECT count(DISTINCT id) FROM customers)"
    )


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        (
            "cumulative",
            {
                "measure": {"name": "total"},
                "cumulative_type_params": {"window": {"count": 7, "granularity": "day"}},
            },
            "running total of total over the last 7 day",
        ),
        (
            "cumulative",
            {"cumulative_type_params": {"metric": {"name": "revenue"}, "grain_to_date": "month"}},
            "running total of revenue since the beginning of the month",
        ),
        (
            "derived",
            {
                "expr": "a",
                "metrics": [
                    {"name": "revenue", "alias": "a", "offset_window": {"count": 1, "granularity": "month"}}
                ],
            },
            "it compares revenue of another period (1 month)",
        ),
        (
            "simple",
            {"measure": {"name": "total", "fill_nulls_with": 0}},
            "it has a value for periods without rows",
        ),
        (
            "conversion",
            {
                "conversion_type_params": {
                    "base_measure": {"name": "visits"},
                    "conversion_measure": {"name": "buys"},
                    "entity": "user",
                    "window": {"count": 7, "granularity": "day"},
                }
            },
            "conversion rate from visits to buys of the same user within 7 day",
        ),
    ],
)
def test_metrics_that_need_a_calendar_or_a_conversion_are_described_in_words(
    kind: str, parameters: dict[str, Any], words: str
) -> None:
    knowledge = read(simple(), {"name": "special", "type": kind, "type_params": parameters})

    assert knowledge.metrics["special"].words.startswith(words)
    assert not knowledge.metrics["special"].sql
    assert knowledge.left_out[-1].what == "SQL of metric special"


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (simple(expr="amount) FROM secrets WHERE (true"), "not one expression"),
        (simple(expr="(SELECT max(x) FROM secrets)"), "has a subquery"),
        (simple(expr="cents"), "has no column cents"),
        (simple(expr="customers.id"), "column of another table"),
        (simple(agg="mystery"), "aggregation 'mystery' is unknown"),
        (simple(agg="percentile", agg_params={"percentile": "0) --"}), "not between 0 and 1"),
        (
            simple(filter="{{ Metric('revenue', ['customer']) }} > 2"),
            "a call that import does not know",
        ),
        (simple(filter="{{ env_var('SECRET') }} = 1"), "a call that import does not know"),
        (simple(filter="{% if true %} status = 'x' {% endif %}"), "would have to be run"),
        (simple(filter="{{ Dimension('status') }} = 'x')), (1"), "not a PostgreSQL expression"),
        (simple(filter="{{ Dimension('order__colour') }} = 'x'"), "orders does not have"),
        (
            {
                "name": "loop",
                "type": "derived",
                "type_params": {"expr": "loop", "metrics": [{"name": "loop"}]},
            },
            "use each other",
        ),
        ({"name": "odd", "type": "magic"}, "type 'magic' is unknown"),
        ({"name": "lost", "type": "simple", "type_params": {"measure": "gone"}}, "in no semantic model"),
    ],
)
def test_unknown_parts_and_templates_are_left_out_with_a_reason(metric: dict[str, Any], reason: str) -> None:
    knowledge = read(metric)

    assert not any(each.sql for each in knowledge.metrics.values())
    assert reason in knowledge.left_out[-1].why


def test_elements_of_filters_are_read_with_their_paths_and_periods() -> None:
    assert read_element(" Dimension( 'a__b__c' ) ") == Element("c", ("a", "b"))
    assert read_element("TimeDimension('order__placed', 'WEEK')") == Element(
        "placed", ("order",), grain="week"
    )
    assert read_element("Dimension('order__placed').date_part('year')").date_part == "year"
    assert read_element("Dimension('order__placed').grain('month')").grain == "month"
    assert read_element('Entity("customer", entity_path=["order"])') == Element("customer", ("order",), True)
    with pytest.raises(NotImportableError, match="does not know: fiscal_year"):
        read_element("TimeDimension('order__placed', 'fiscal_year')")
    with pytest.raises(NotImportableError, match="run"):
        translate("{{ Dimension('a') }} = {# x #} 1", lambda element: element.name)


def manifest(**tests: Any) -> dict[str, Any]:
    orders = {
        "resource_type": "model",
        "name": "orders_v2",
        "alias": "orders",
        "schema": "dbt_alice",
        "database": "dev",
        "description": "One row\nfor each\u200b checkout.",
        "config": {"materialized": "table", "meta": {"synonyms": ["purchases"]}},
        "columns": {
            "status": {"name": "status", "description": "where it is"},
            "gone": {"name": "gone", "description": "no longer there"},
        },
    }
    customers = {
        "resource_type": "seed",
        "name": "customers",
        "schema": "public",
        "columns": {},
        "config": {},
    }
    between = {
        "resource_type": "model",
        "name": "between",
        "alias": "between",
        "schema": "x",
        "config": {"materialized": "ephemeral"},
    }
    return {
        "metadata": {},
        "sources": {},
        "nodes": {"model.orders": orders, "seed.customers": customers, "model.between": between, **tests},
    }


def dbt_test(
    name: str, column: str, config: dict[str, Any] | None = None, **arguments: Any
) -> dict[str, Any]:
    return {
        "resource_type": "test",
        "column_name": column,
        "attached_node": "model.orders",
        "config": config or {},
        "test_metadata": {"name": name, "kwargs": arguments},
        "depends_on": {"nodes": ["seed.customers", "model.orders"]},
    }


def test_descriptions_synonyms_values_and_references_of_a_manifest() -> None:
    knowledge = read_manifest(
        manifest(
            one=dbt_test("accepted_values", "status", values=["open", "paid"]),
            two=dbt_test("accepted_values", "status", {"severity": "warn"}, arguments={"values": [1, 2]}),
            three=dbt_test("relationships", "customer_id", to="ref('customers')", field="id"),
        ),
        TABLES,
    )

    assert knowledge.notes == {
        "orders": ["One row for each checkout.", "also called purchases"],
        "orders.status": ["where it is", "accepted values: open, paid", "usual values: 1, 2"],
    }
    assert list(knowledge.joins) == ["orders.customer_id = customers.id"]
    assert (
        knowledge.joins["orders.customer_id = customers.id"][0]
        == "at most one row of customers for each of orders"
    )
    assert {each.what for each in knowledge.left_out} == {"model between", "description of orders.gone"}


def test_a_manifest_with_metrics_but_without_their_file_gives_a_remark() -> None:
    data = manifest() | {"metrics": {"metric.shop.revenue": {}}}

    assert "semantic_manifest.json" in read_manifest(data, TABLES, has_semantics=False).remarks[-1]
    assert "semantic_manifest.json" not in str(read_manifest(data, TABLES).remarks)


def test_accepted_values_of_a_hidden_column_are_left_out() -> None:
    scope = CatalogScope(hidden_values=("orders.status",))
    tables = Tables(Catalog((CUSTOMERS, ORDERS), ("public",), "18.1", scope=scope))

    knowledge = read_manifest(manifest(one=dbt_test("accepted_values", "status", values=["ill"])), tables)

    assert "ill" not in str(knowledge.notes)
    assert "not shown to models" in knowledge.left_out[-1].why


def test_facts_that_the_catalog_has_are_left_out() -> None:
    status = Column("status", "text", nullable=True, comment="Where it is.", values=("open", "paid"))
    key = ForeignKey(("customer_id",), "public", "customers", ("id",))
    orders = Table(
        "public",
        "orders",
        TableKind.TABLE,
        "one row for each checkout",
        (status, Column("customer_id", "int", nullable=True)),
        foreign_keys=(key,),
    )
    tables = Tables(Catalog((CUSTOMERS, orders), ("public",), "18.1"))

    knowledge = read_manifest(
        manifest(
            one=dbt_test("accepted_values", "status", values=["paid", "open"]),
            two=dbt_test("relationships", "customer_id", field="id"),
        ),
        tables,
    )

    assert knowledge.notes.get("orders") == ["also called purchases"]
    assert not knowledge.joins
    assert {each.why for each in knowledge.left_out} >= {
        "the comment in the database says the same",
        "the database lists the same values",
        "a foreign key says the same",
    }


@pytest.mark.parametrize(
    ("facts", "proved"),
    [
        ({"primary_key": ("id",)}, True),
        ({"unique_constraints": (("id",),)}, True),
        ({"primary_key": ("id", "day")}, False),
        ({"indexes": (Index("i", "btree (id)", ("id",), True),)}, True),
        ({"indexes": (Index("i", "btree (id)", ("id",), False),)}, False),
        ({"indexes": (Index("i", "btree (id) WHERE (x > 1)", ("id",), True),)}, False),
        ({"indexes": (Index("i", "btree (lower(name), id)", ("id",), True),)}, False),
        ({"primary_key": ("id",), "without_overlaps": (("id",),)}, False),
    ],
)
def test_only_unconditional_keys_prove_uniqueness(facts: dict[str, Any], proved: bool) -> None:
    assert is_unique(table("t", "id", "day", **facts), ["id"]) is proved


def test_tables_are_matched_by_schema_then_by_a_unique_name() -> None:
    catalog = Catalog(
        (
            table("orders", "id", schema="a"),
            table("Orders", "id", schema="b"),
            table("orders", "id", schema="c"),
        ),
        ("a",),
        "18.1",
    )
    knowledge = read()

    assert Tables(catalog).find(SourceName("orders", "c"), knowledge).schema == "c"
    assert Tables(catalog).find(SourceName("orders"), knowledge).schema == "a"
    assert Tables(catalog, {"DEV": "c"}).find(SourceName("orders", "dev"), knowledge).schema == "c"
    with pytest.raises(NotImportableError, match="several tables"):
        Tables(catalog).find(SourceName("orders", "dev"), knowledge)
    with pytest.raises(NotImportableError, match="no table nothing"):
        Tables(catalog).find(SourceName("nothing", "dev"), knowledge)
    with pytest.raises(NotImportableError, match="the schema b has no table lost"):
        Tables(catalog, {"dev": "b"}).find(SourceName("lost", "dev"), knowledge)


def test_names_of_sources_are_split_outside_quotes() -> None:
    assert source_name('"shop"."dbt.alice"."Order.s"') == SourceName("Order.s", "dbt.alice", "shop")
    assert source_name("orders") == SourceName("orders")
    for query in ("select * from orders", "a.b.c.d", ""):
        with pytest.raises(NotImportableError, match="query"):
            source_name(query)
    with pytest.raises(NotImportableError, match="no column"):
        find_column(table("t", "A", "a2"), "b")
